"""The state machine of PS3.8 9.2, for peers that send what no state allows.

pynetdicom 3.0.4 ends its thread with a traceback when an event meets a state that the table of the
standard has no entry for (found with mutated association requests), and leaves the connection to
whoever comes next. Here that ends the association, as any other protocol error does.
"""

import structlog
from pynetdicom.fsm import StateMachine
from pynetdicom.pdu import A_ABORT_RQ

log = structlog.get_logger(__name__)

_PROVIDER, _UNEXPECTED_PDU = 0x02, 0x02  # source and reason of an A-ABORT (PS3.8 9.3.8)


class BoundedMachine(StateMachine):
    """Ends its own association on what it cannot do, and nothing else."""

    def do_action(self, event: str) -> None:
        """Do what the table says; abort when it says nothing, or when that fails."""
        try:
            super().do_action(event)
        except Exception as error:  # noqa: BLE001 - bytes of strangers: the border of C-STORE
            log.warning(
                "association_confused",
                state=self.current_state,
                pdu_event=event,
                error=type(error).__name__,
            )
            self._abort()

    def _abort(self) -> None:
        dul, assoc = self.dul, self.dul.assoc
        abort = A_ABORT_RQ()
        abort.source, abort.reason_diagnostic = _PROVIDER, _UNEXPECTED_PDU
        connection = dul.socket
        if connection is not None and connection.socket is not None:
            connection.send(abort.encode())
            connection._shutdown_socket()  # noqa: SLF001 - no public name
        # As the stock thread does it when reading fails.
        assoc.is_aborted, assoc.is_established = True, False
        assoc._kill = True  # noqa: SLF001 - no public name
        dul.kill_dul()
