"""The phase `call`: a function of the user's, `run(helper, configuration)`."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.code.load import load_anew, place_of
from specplan.components.reference import names_file
from specplan.errors import RunError, SpecError, SpecplanError
from specplan.plan.model import Call
from specplan.plan.own_code import admit_calls, admit_pre_experiment
from specplan.plan.passes.calls import SIGNATURE, wrong_count
from specplan.run.experiment_helper import ExperimentHelper
from specplan.run.mocks import mocked_modules, unmock_modules
from specplan.spec.configuration import ConfigurationBase
from specplan.spec.decode import Decoder, UnusableTypeError
from specplan.spec.diagnostics import Diagnostic, Origin, in_text_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from specplan.code.source import Source
    from specplan.plan.model import Compiled
    from specplan.run.context import Context
    from specplan.spec.diagnostics import Path


_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_UNKNOWN = object()


class Prepared(msgspec.Struct, frozen=True, eq=False):
    """A function that can be called: loaded, its configuration made."""

    function: Callable[[Any, Any], object]
    helper: type[ExperimentHelper]
    configuration: Any
    source: Source


@contextmanager
def prepared(compiled: Compiled, *, trust: bool) -> Iterator[Mapping[str, Prepared]]:
    """What a plan calls, by the path of the phase, while its code is in force.

    Code of the user runs here for the first time: `pre_experiment`, then the modules of the functions.

    Raises:
        CodeError: code is missing, is not what was compiled, or is not trusted.
        SpecError: code cannot be imported, or a configuration is not what its function wants.
    """
    calls = admit_calls(compiled, trust=trust)
    before = admit_pre_experiment(compiled, trust=trust)
    if not calls and before is None:
        yield {}
        return
    search_path = list(sys.path)
    folders = [
        str((compiled.folder / folder).resolve()) for folder in compiled.plan.code.pythonpath
    ]
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]
    try:
        yield _prepare(compiled, before, calls)
    finally:
        sys.path[:] = search_path
        unmock_modules()


def call(phase: Call, context: Context) -> dict[str, float]:
    """Call the function; returns the last value of each metric that it logged."""
    known, opened = context.calls[phase.path], ExitStack()
    helper = known.helper(
        folder=context.journal.folder.path,
        configuration=known.configuration,
        args=phase.words,
        recorder=context.recorder,
        phase=phase.path,
        opens=_opening(context, opened),
    )
    try:
        helper.reporter.open()
        with context.interruption.at_once(), opened:
            known.function(helper, known.configuration)
        # Code that goes on after it was asked to end was asked all the same.
        context.interruption.deliver()
    except SystemExit as ending:
        if context.interruption.requested is not None:
            raise
        if ending.code not in (None, 0):
            message = f"phase `{phase.path}`: the function called sys.exit({ending.code!r})"
            raise RunError(message) from ending
    except (SpecplanError, MemoryError):
        raise
    except Exception as error:
        place = place_of(error, known.source)
        message = f"phase `{phase.path}`: {place}: {type(error).__name__}: {error}"
        raise RunError(message) from error
    finally:
        helper.reporter.close()
    return helper.last_metrics


def _opening(context: Context, opened: ExitStack) -> Callable[[], Any] | None:
    """What opens the experiment of a call."""
    called = context.subjects.called
    return None if called is None else lambda: opened.enter_context(called(context))


def _prepare(
    compiled: Compiled, before: Source | None, calls: Mapping[str, Source]
) -> dict[str, Prepared]:
    found: dict[str, Prepared] = {}
    with closing(load_anew([*([] if before is None else [before]), *calls.values()])) as loaded:
        if before is not None:
            _load(loaded, before, _Place(compiled, ("code", "pre_experiment")))
        for phase in compiled.plan.phases:
            if isinstance(phase, Call):
                place = _Place.of_call(compiled, phase)
                function = _load(loaded, calls[phase.path], place.at("use"))
                found[phase.path] = _checked(compiled, phase, function, calls[phase.path], place)
    mocked = {name.partition(".")[0] for name in mocked_modules()}
    if compiled.plan.graph.nodes and "torch" in mocked:
        raise RunError(
            "pre_experiment mocks `torch`, which the nodes of this plan need\n"
            "hint: call the code that is to be imported quickly in a spec of its own"
        )
    return found


def _load(loaded: Iterator[Any], source: Source, place: _Place) -> Any:
    try:
        return next(loaded)
    except SpecplanError:
        raise
    except (Exception, SystemExit) as error:
        raised = f"{type(error).__name__}: {error}"
        message = (
            f"`{source.reference.place}` cannot be imported: {place_of(error, source)}: {raised}"
        )
        raise SpecError([place.problem("SP112", message)]) from error


def _checked(
    compiled: Compiled, phase: Call, function: Any, source: Source, place: _Place
) -> Prepared:
    reference = source.reference
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        message = f"`{reference}` is no function"
        raise SpecError([place.at("use").problem("SP115", message, hint=SIGNATURE)]) from None
    by_place = [each for each in parameters if each.kind in _BY_PLACE]
    if len(by_place) != 2 or len(parameters) > 2:
        message = f"`{reference}` {wrong_count(len(parameters))}"
        raise SpecError([place.at("use").problem("SP115", message, hint=SIGNATURE)])
    helper, wanted = (_annotation(function, each) for each in by_place)
    if not (isinstance(helper, type) and issubclass(helper, ExperimentHelper)):
        helper = ExperimentHelper
    decoder = Decoder(place.at("config"))
    try:
        if wanted is _UNKNOWN:
            annotation = function.__annotations__.get(by_place[1].name)
            told = (
                "has no annotation"
                if annotation is None
                else f"has the unknown type `{annotation}`"
            )
            raise UnusableTypeError(f"`{by_place[1].name}` {told}")
        configuration = _decoded(decoder, wanted, phase, compiled)
    except UnusableTypeError as error:
        message = f"the configuration of `{reference}` has no usable class: {error}"
        hint = "annotate the second parameter with a `@configuration` class, or with `dict`"
        raise SpecError([place.at("use").problem("SP116", message, hint=hint)]) from error
    if decoder.problems:
        raise SpecError(in_text_order(decoder.problems, place.text))
    return Prepared(function, helper, configuration, source)


def _decoded(decoder: Decoder, wanted: Any, phase: Call, compiled: Compiled) -> Any:
    if not (isinstance(wanted, type) and issubclass(wanted, ConfigurationBase)):
        return decoder.decode(wanted, phase.function.args, ())
    experiment, code = compiled.plan.experiment, compiled.plan.code
    place, _, _ = phase.function.use.rpartition(":")
    named = {"file": place.removeprefix("./").removesuffix(".py")}
    said = {
        "title": experiment.title,
        "subtitle": experiment.subtitle,
        "description": experiment.description,
        "paper": experiment.paper,
        "add_timestamp": experiment.add_timestamp,
        "dirty_git": code.dirty_git,
        "pythonpath": None if code.pythonpath == (".",) else list(code.pythonpath),
        "pre_experiment": code.pre_experiment,
        **(named if names_file(place) else {"module": place}),
    }
    # What was not said is left to the class, which may have a default of its own.
    usual = ConfigurationBase()
    known = {key: value for key, value in said.items() if value != getattr(usual, key)}
    return decoder.instance(wanted, phase.function.args, (), known={"id": experiment.id, **known})


def _annotation(function: Any, parameter: inspect.Parameter) -> Any:
    """The type that a parameter is annotated with; `_UNKNOWN` where that cannot be told."""
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return _UNKNOWN
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return typing.get_type_hints(holder, globalns=names)["it"]
    except (NameError, TypeError, AttributeError, SyntaxError):
        return _UNKNOWN


class _Place(msgspec.Struct, frozen=True):
    """A part of the spec, or of the plan where that is all there is."""

    compiled: Compiled
    path: Path

    @classmethod
    def of_call(cls, compiled: Compiled, phase: Call) -> _Place:
        """Where a call phase is."""
        index = compiled.plan.phases.index(phase)
        if compiled.document is None:
            return cls(compiled, ("phases", index))
        return cls(compiled, compiled.origins[f"/phases/{index}"].path)

    @property
    def text(self) -> str | None:
        """The file that comes first."""
        document = self.compiled.document
        return None if document is None else document.sources[0].name

    def at(self, key: str) -> _Place:
        """A part of this part."""
        return _Place(self.compiled, (*self.path, key))

    def origin(self, path: Path, *, key: bool = False) -> Origin:
        """Where the value at `path` of this part is written."""
        whole = (*self.path, *path)
        document = self.compiled.document
        return (
            Origin(file=None, path=whole) if document is None else document.origin(whole, key=key)
        )

    def problem(self, code: str, message: str, *, hint: str | None = None) -> Diagnostic:
        """What is wrong with this part."""
        return Diagnostic(code=code, message=message, origin=self.origin(()), hint=hint)
