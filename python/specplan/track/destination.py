"""Where the runs of an experiment are kept: in files, at a server, or both."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from blake3 import blake3

from specplan.base.cache import cache_folder
from specplan.errors import RemoteError

if TYPE_CHECKING:
    from specplan.store.layout import RunFolder
    from specplan.track.background import Background

_LOG = logging.getLogger(__name__)
URL = "DASH_URL"
"""The environment variable that says which server `dash_url=True` means."""


class Destination(msgspec.Struct, frozen=True):
    """Where runs go.

    Attributes:
        root: folder of all runs; where they are only at the server, of what waits to be sent.
        url: address of the server, if runs go to one.
        is_spool: whether a folder below `root` goes when the server has all of it.
    """

    root: Path
    url: str | None = None
    is_spool: bool = False

    @classmethod
    def of(
        cls, *, dash_root: str | os.PathLike[str] | None, dash_url: str | bool | None
    ) -> Destination:
        """What the arguments of an experiment mean. No socket is opened.

        Raises:
            ValueError: neither a folder nor a server was named, or the address is none.
            RunError: a server was named, and there is no token.
        """
        if dash_url is True and not (dash_url := os.environ.get(URL)):
            raise ValueError(f"dash_url=True means the server that ${URL} names, which is not set")
        if not dash_url:
            if dash_root is None:
                raise ValueError(
                    "dash_root and dash_url are both None: the experiment would be kept nowhere"
                )
            return cls(Path(dash_root))
        from specplan.track.remote_client import Server, client_token

        url = str(dash_url)
        Server(url, client_token())
        if dash_root is not None:
            return cls(Path(dash_root), url)
        name = blake3(url.encode()).hexdigest()[:16]
        return cls(cache_folder() / "spool" / name, url, is_spool=True)

    def fetch(self, experiment: str) -> bool:
        """Take the newest run of an experiment from a server that alone has it; says whether there is one.

        A server that does not answer has none: what is logged meanwhile is another run.
        """
        if self.url is None or not self.is_spool:
            return False
        from specplan.track.remote_client import Server, client_token
        from specplan.track.remote_fetch import fetch_newest

        with closing(Server(self.url, client_token())) as server:
            try:
                return fetch_newest(server, experiment, self.root)
            except RemoteError as error:
                _LOG.warning("a new run of `%s` is begun: %s", experiment, error)
                return False

    def follow(self, folder: RunFolder) -> Background | None:
        """Begin to send a run, if runs go to a server."""
        if self.url is None:
            return None
        from specplan.track.background import Background
        from specplan.track.remote import Upload
        from specplan.track.remote_client import Server, client_token

        return Background(folder, Upload(folder, Server(self.url, client_token())))

    def settle(self, folder: RunFolder, background: Background | None) -> bool:
        """Send the rest of a run that is over; says whether its folder is to go: the server has all that it is for."""
        is_sent = background is not None and background.close()
        return is_sent and self.is_spool and folder.path.is_relative_to(self.root)
