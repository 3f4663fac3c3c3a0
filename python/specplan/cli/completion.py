"""`mlx completion`: the script by which a shell completes words of `mlx`."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script by which SHELL completes commands, options, experiments and runs.

    \b
    Example:
      mlx completion bash >> ~/.bashrc
      mlx completion zsh >> ~/.zshrc
      mlx completion fish > ~/.config/fish/completions/mlx.fish
    """
    from click.shell_completion import get_completion_class

    from specplan.cli.main import COMPLETE

    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells"
    group = context.find_root().command
    script = kind(group, {}, "mlx", COMPLETE)
    click.echo(script.source_template % script.source_vars())
