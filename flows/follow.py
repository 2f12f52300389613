"""One experiment of `nightlab try`, shown by a running `nightlab serve` while it runs.

Importing Prefect takes 1.2 s and a flow run 0.2 s. An agent does not wait for that: the experiment
runs in this thread as it always does, and a second thread tells Prefect about it meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from flows import campaign
from flows.campaign import Done, Propose
from flows.errors import CampaignError
from flows.experiment import pending_names
from flows.lab import Campaign, Lab
from flows.prefect_server import ServerInfo, use_server
from trainer.run import Watch

log = logging.getLogger(__name__)
JOIN_SECONDS = 10.0  # a server that hangs holds an agent no longer than this


def try_through_server(
    lab: Lab,
    info: ServerInfo,
    tag: str,
    propose: Propose,
    watch: Watch | None = None,
) -> tuple[Campaign, Done]:
    """Run one experiment as `campaign.attempt` does, shown as a flow run with a task `exp-NNNN`.

    Raises:
        CampaignError: As `campaign.attempt`.
    """
    follower = Follower(lab, info, tag)

    def both(seconds: float, line: str) -> None:
        follower.begin()
        if watch:
            watch(seconds, line)

    try:
        place, done = campaign.attempt(lab, tag, propose, both)
    except BaseException as error:
        follower.fail(error)
        raise
    follower.finish(done)
    return place, done


@dataclass
class Follower:
    """The thread that shows one experiment; it starts with the run's first sign of life."""

    lab: Lab
    info: ServerInfo
    tag: str
    outcome: Future[Done] = field(default_factory=Future)
    thread: threading.Thread | None = None

    def begin(self, name: str | None = None) -> None:
        """Start to show the experiment that runs now."""
        if self.thread is None:
            found = name or max(pending_names(self.lab, self.tag), default=self.tag)
            self.thread = threading.Thread(target=self.show, args=(found,), daemon=True)
            self.thread.start()

    def finish(self, done: Done) -> None:
        """Show how it ended."""
        self.begin(done.entry.facts.name)  # it was too short to be seen running
        self.outcome.set_result(done)
        self.wait()

    def fail(self, error: BaseException) -> None:
        """Show that nightlab, not the program, failed; nothing if nothing had begun."""
        text = str(error) or type(error).__name__  # KeyboardInterrupt would end the thread's loop
        self.outcome.set_exception(CampaignError(text))
        self.wait()

    def wait(self) -> None:
        """Let the last states be written."""
        if self.thread is not None:
            self.thread.join(JOIN_SECONDS)
            if self.thread.is_alive():
                log.warning("prefect: does not answer; the experiment is in git all the same")

    def show(self, name: str) -> None:
        """Be the flow run; in the thread."""
        with use_server(self.info):
            from flows.records import API_ERRORS, drain, quiet
            from flows.research import SESSION, Session, follow

            quiet()
            SESSION.set(Session(self.lab, outcome=self.outcome))
            try:
                asyncio.run(follow(name))
            except CampaignError:
                return  # the command says it
            except API_ERRORS as error:
                log.warning("prefect: %s; the experiment is in git all the same", error)
            finally:
                drain()
