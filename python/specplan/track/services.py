"""What goes on beside an experiment, as a viewer of its runs: begun when it is asked for, ended with it."""

from __future__ import annotations

import enum
import logging
import threading
from abc import abstractmethod
from typing import TYPE_CHECKING

from specplan.base.redaction import redacted_text

if TYPE_CHECKING:
    from specplan.track.experiment_block import experiment

_LOG = logging.getLogger(__name__)


class ServiceState(enum.StrEnum):
    """How a service stands; `error` where it could not begin, or broke off."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ERROR = "error"


class ServiceListener:
    """Is told whenever a service that it was added to stands otherwise."""

    def service_state_changed(self, service: Service) -> None:
        """`service.state` is another one. Called in the thread that changed it."""


class Service:
    """A service of an experiment: `xp.add_service(MyService())`. A subclass says what it does.

    Attributes:
        id: its name, by which `xp.services` has it; a subclass has one of its own.
        experiment: what it was added to.
    """

    id = "service"

    def __init__(self) -> None:
        self.experiment: experiment | None = None
        self._state = ServiceState.STOPPED
        self._listeners: list[ServiceListener] = []

    @property
    def state(self) -> ServiceState:
        """How it stands; its listeners are told of a change."""
        return self._state

    @state.setter
    def state(self, state: ServiceState) -> None:
        if state is not self._state:
            self._state = state
            for listener in [*self._listeners]:
                listener.service_state_changed(self)

    def set_experiment(self, xp: experiment) -> None:
        """It was added to an experiment."""
        self.experiment = xp

    def description(self) -> str:
        """What it is, for people."""
        return ""

    def add_listener(self, listener: ServiceListener) -> None:
        """Tell `listener` of changes."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def remove_listener(self, listener: ServiceListener) -> None:
        """Tell it no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def close(self) -> None:
        """End it; called at the end of the experiment. A subclass ends what it has begun, and calls this."""
        self.state = ServiceState.STOPPED


class WebService(Service):
    """A service with a URL. `_serve` is run in a thread, begun by the first `get_url`.

    Attributes:
        url: where it answers; None before it does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.url: str | None = None
        self._running: threading.Event | None = None
        self._lock = threading.Lock()

    @abstractmethod
    def _serve(self, running: threading.Event) -> None:
        """Set `url`, then `running`, then answer until `close` is called."""

    def get_url(self) -> str | None:
        """Where it answers, after it was begun if that was not done before; None where that fails."""
        with self._lock:
            if self._running is None:
                self._running = threading.Event()
                self.state = ServiceState.STARTING
                threading.Thread(
                    target=self._go_on, args=(self._running,), name=self.id, daemon=True
                ).start()
            running = self._running
        running.wait()
        if self.state is ServiceState.STARTING:
            self.state = ServiceState.RUNNING
        return self.url

    def close(self) -> None:
        """End it; the next `get_url` begins it again."""
        with self._lock:
            self._running, self.url = None, None
        super().close()

    def _go_on(self, running: threading.Event) -> None:
        try:
            self._serve(running)
        except Exception as error:  # noqa: BLE001 -- a service that breaks is no reason to end an experiment
            said = redacted_text(str(error))
            _LOG.warning("service `%s` broke off: %s: %s", self.id, type(error).__name__, said)
            self.url = None
            self.state = ServiceState.ERROR
        finally:
            running.set()
