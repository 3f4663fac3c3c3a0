"""`mlx compile`, `explain`, `validate` and `schema`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

WRONG = """\
specplan: 1
data:
  Data:
    source: {use: parquet, path: line.parquet}
    features: [x]
    targets: [y]
graph:
  nodes:
    MLP:
      model: {use: mpl, hidden_dim: 4}
      input: Data.x
      target: Data.y
  optimizer: {use: sgd, lr: 0.05}
losses:
  mse: {use: mse, node: MLP}
plan:
  - {phase: eval, label: test, losses: [mse], batchsize: 3}
"""

EXPLAINED = """\
phase 2 test: evaluate on Data, split test, 10 rows
  computes MLP, at once
  loss mse: mse of MLP.outputs as float32 (B, 1), MLP.targets as float32 (B, 1)
"""


def test_the_plan_goes_beside_the_spec(mlx: Mlx, project: Path) -> None:
    result = mlx("compile", "line.json", folder=project)
    assert (result.returncode, result.stdout) == (0, "")
    plan = json.loads((project / "line.plan.json").read_text())
    assert result.stderr == f"wrote line.plan.json ({plan['id']})\n"


def test_the_plan_goes_where_it_is_told(mlx: Mlx, project: Path) -> None:
    (project / "plans").mkdir()
    result = mlx("compile", "line.json", "-o", "plans/a.json", folder=project)
    assert result.returncode == 0
    assert not (project / "line.plan.json").exists()
    assert mlx("run", "plans/a.json", "--quiet", folder=project).returncode == 0


def test_a_folder_that_is_not_there(mlx: Mlx, project: Path) -> None:
    result = mlx("compile", "line.json", "-o", "plans/a.json", folder=project)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error: plans/a.json: No such file or directory\n"


def test_explain(mlx: Mlx, project: Path) -> None:
    compiled = mlx("compile", "line.json", "--explain", folder=project)
    of_plan = mlx("explain", "line.plan.json", folder=project)
    assert EXPLAINED in of_plan.stdout
    (project / "line.plan.json").unlink()
    explained = mlx("explain", "line.json", folder=project)
    bill = mlx("plan", "line.json", folder=project)
    assert compiled.stdout == f"{explained.stdout}\n{bill.stdout}"
    assert explained.stderr == ""
    assert EXPLAINED in explained.stdout
    assert not (project / "line.plan.json").exists()


def test_every_error_at_once(mlx: Mlx, project: Path) -> None:
    (project / "wrong.yaml").write_text(WRONG)
    for verb in ("compile", "validate", "explain", "plan", "run"):
        result = mlx(verb, "wrong.yaml", folder=project)
        assert (result.returncode, result.stdout) == (1, "")
        lines = result.stderr.splitlines()
        assert lines[0].startswith("wrong.yaml:10:20: error[")
        assert "`mpl`" in lines[0]
        assert lines[1] == "   10 |       model: {use: mpl, hidden_dim: 4}"
        assert lines[2] == "      |                    ^^^"
        assert any("batchsize" in line and "wrong.yaml:17:47" in line for line in lines)
        assert "hint: did you mean `batch_size`?" in lines
        assert lines[-1] == "2 errors in wrong.yaml"
    assert not (project / "wrong.plan.json").exists()


def test_errors_as_json(mlx: Mlx, project: Path) -> None:
    (project / "wrong.yaml").write_text(WRONG)
    result = mlx("compile", "wrong.yaml", "--format", "json", folder=project)
    assert (result.returncode, result.stderr) == (1, "")
    errors: list[dict[str, Any]] = json.loads(result.stdout)
    assert [error["line"] for error in errors] == [10, 17]
    assert errors[1]["hint"] == "did you mean `batch_size`?"
    assert errors[1]["pointer"] == "/plan/0/batchsize"
    fine = mlx("compile", "line.json", "--format", "json", folder=project)
    assert (fine.returncode, json.loads(fine.stdout)) == (0, [])


def test_two_writers_of_stdout_are_refused(mlx: Mlx, project: Path) -> None:
    result = mlx("compile", "line.json", "--format", "json", "--explain", folder=project)
    assert result.returncode == 2
    assert "--explain and --format json both write to stdout; choose one" in result.stderr


def test_text_that_is_no_json(mlx: Mlx, project: Path) -> None:
    (project / "torn.json").write_text('{"specplan": 1,\n "data": {')
    for verb in ("compile", "validate", "run"):
        result = mlx(verb, "torn.json", folder=project)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("torn.json:2:")
        assert "Traceback" not in result.stderr


def test_bytes_that_are_no_text(mlx: Mlx, project: Path) -> None:
    (project / "binary.json").write_bytes(b"\xff\xfe\x00{")
    for verb in ("compile", "validate", "run"):
        result = mlx(verb, "binary.json", folder=project)
        assert (result.returncode, result.stdout) == (1, "")
        assert "is not UTF-8" in result.stderr


def test_validate_needs_no_data(mlx: Mlx, project: Path) -> None:
    result = mlx("validate", "line.json", folder=project)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "line.json: no errors\n")
    (project / "line.parquet").unlink()
    result = mlx("validate", "line.json", folder=project)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == (
        "line.json: no errors; columns and rows of `line.parquet` were not checked: not found\n"
    )
    assert mlx("compile", "line.json", folder=project).returncode == 1


def test_validate_finds_what_the_data_do_not_tell(
    mlx: Mlx, project: Path, spec: dict[str, Any]
) -> None:
    (project / "line.parquet").unlink()
    spec["plan"][1]["split"] = "tset"
    spec["graph"]["nodes"]["MLP"]["model"]["output_shape"] = [1]
    spec["losses"]["mse"]["use"] = "cross_entropy"
    (project / "wrong.json").write_text(json.dumps(spec, indent=1))
    result = mlx("validate", "wrong.json", folder=project)
    assert result.returncode == 1
    assert "error[SP303]: split `tset` is not defined" in result.stderr
    assert "error[SP651]: loss mse: cross_entropy needs outputs" in result.stderr
    assert result.stderr.endswith("2 errors in wrong.json\n")


def test_strict(mlx: Mlx, project: Path, spec: dict[str, Any]) -> None:
    spec["metrics"] = {"r2": {"use": "r2", "node": "MLP"}}
    (project / "odd.json").write_text(json.dumps(spec, indent=1))
    for verb in ("validate", "compile", "plan", "run"):
        result = mlx(verb, "odd.json", folder=project)
        assert result.returncode == 0
        assert "warning[SP306]: no phase uses metric r2" in result.stderr
        assert "1 warning in odd.json\n" in result.stderr
        refused = mlx(verb, "odd.json", "--strict", folder=project)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert result.stderr.replace("warning", "error").startswith(refused.stderr)
        assert mlx(verb, "line.json", "--strict", folder=project).returncode == 0
    odd, fine = sorted((project / "runs/line").iterdir())
    said = "warning[SP306]: no phase uses metric r2\n"
    assert (odd / "logs/warnings.txt").read_text().endswith(said)
    assert not (fine / "logs").exists()


def test_schema(mlx: Mlx) -> None:
    result = mlx("schema")
    assert result.returncode == 0
    assert json.loads(result.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("verb", ["compile", "validate"])
def test_a_plan_is_no_spec(mlx: Mlx, project: Path, verb: str) -> None:
    assert mlx("compile", "line.json", folder=project).returncode == 0
    result = mlx(verb, "line.plan.json", folder=project)
    assert (result.returncode, result.stdout) == (2, "")
    assert (
        "`line.plan.json` is a plan already; `mlx explain` prints it and `mlx run`" in result.stderr
    )


def test_overrides_of_each_verb(mlx: Mlx, project: Path) -> None:
    override = ("-c", "plan.train.epochs=1", "--conf", "experiment.id=other")
    assert mlx("validate", "line.json", *override, folder=project).returncode == 0
    assert mlx("compile", "line.json", *override, folder=project).returncode == 0
    plan = json.loads((project / "line.plan.json").read_text())
    assert plan["phases"][0]["epochs"] == 1
    assert plan["experiment"]["id"] == "other"
    explained = mlx("explain", "line.json", *override, folder=project)
    assert "1 epoch" in explained.stdout
    ran = mlx("run", "line.json", *override, "--quiet", "--json", folder=project)
    assert ran.returncode == 0
    (run,) = (project / "runs/other").iterdir()
    assert json.loads((run / "spec.json").read_text())["plan"][0]["epochs"] == 1


def test_wrong_overrides_of_each_verb(mlx: Mlx, project: Path) -> None:
    for verb in ("compile", "validate", "explain", "run"):
        result = mlx(verb, "line.json", "-c", "plan.trian.epochs=1", folder=project)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == (
            "-c:1:6: error[SP103]: `plan` has no item `trian`; it has `train`, `test`\n"
            "    1 | plan.trian.epochs=1\n"
            "      |      ^^^^^\n"
            "hint: did you mean `train`?\n"
            "\n"
            "1 error in line.json\n"
        )


def test_an_override_that_the_compiler_refuses(mlx: Mlx, project: Path) -> None:
    result = mlx("compile", "line.json", "-c", "plan.train.split=valid", folder=project)
    assert result.returncode == 1
    assert result.stderr.startswith("-c:1:18: error[SP303]: ")
    assert "    1 | plan.train.split=valid\n      |                  ^^^^^\n" in result.stderr


def test_files_under_and_over(mlx: Mlx, project: Path) -> None:
    (project / "pre.yaml").write_text("results: {dir: elsewhere}\nrun: {seed: 5, threads: 2}\n")
    (project / "post.yaml").write_text("run: {seed: 7}\n")
    options = ("--pre-yaml", "pre.yaml", "--post-yaml", "post.yaml")
    assert mlx("compile", "line.json", *options, folder=project).returncode == 0
    plan = json.loads((project / "line.plan.json").read_text())
    assert plan["numerics"]["seed"] == 7
    assert plan["numerics"]["threads"] == 1
    assert plan["results"]["dir"] == "elsewhere"
    missing = mlx("compile", "line.json", "--pre-yaml", "per.yaml", folder=project)
    assert missing.returncode == 2
    assert "did you mean `pre.yaml`?" in missing.stderr


def test_a_plan_cannot_be_overridden(mlx: Mlx, project: Path) -> None:
    assert mlx("compile", "line.json", folder=project).returncode == 0
    for verb in ("explain", "run"):
        result = mlx(verb, "line.plan.json", "-c", "run.seed=1", folder=project)
        assert result.returncode == 2
        assert "`line.plan.json` is a plan, which does not change" in result.stderr


def test_the_map_names_parts_that_an_override_gave(mlx: Mlx, project: Path) -> None:
    override = ("-c", "losses.l1={use: l1, node: MLP}", "-c", "plan.train.losses.1=l1")
    assert mlx("compile", "line.json", *override, folder=project).returncode == 0
    places = json.loads((project / "line.plan.map.json").read_text())
    assert places["/phases/0/losses/0"]["file"] == "line.json"
    assert places["/phases/0/losses/1"] == {"file": "-c", "line": 1, "column": 11}
