"""What the sources of this process have read, for whoever shows it."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Intake:
    """Counters of one process since its start; the flow's thread writes them, a display may read them at any time.

    Parameters
    ----------
    records_read, bytes_read
        Records handed on, and the bytes of their payloads.
    lag
        Stream and partition → records in the log that have not been handed on yet; None where the log does not say.
    notice
        Why nothing may be coming in, such as a broker that cannot be reached; empty while all is well.
    """

    records_read: int = 0
    bytes_read: int = 0
    lag: dict[tuple[str, int], int | None] = field(default_factory=dict)
    notice: str = ""

    @property
    def lag_records(self) -> int | None:
        """Records of all partitions that have not been handed on yet; None if a partition's lag is not known.

        >>> Intake(lag={("kafka:a", 0): 3, ("kafka:a", 1): 4}).lag_records
        7
        """
        behind = list(self.lag.values())
        known = [records for records in behind if records is not None]
        return sum(known) if known and len(known) == len(behind) else None
