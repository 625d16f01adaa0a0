"""Settings of the consensus of categorical labels."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusSettings:
    """Prior strengths, schedule and calibration; the defaults suit projects of 100 to millions of labels.

    Parameters
    ----------
    chunk_events_min, chunk_events_max
        Bounds of a chunk's length, in events. A chunk is a ``chunk_divisor``-th of the events so far, within them.
    chunk_divisor
        How many chunks of the present length make up the past.
    revisits_per_event
        Older items evaluated again for each event, for ever.
    revisits_young
        Further items evaluated again for each event during the first ``young_events`` events, and ``young_events / n``
        times as many after n events (their total grows with the logarithm of n).
    young_events
        Events until which a question counts as young.
    settled_probability, settled_rounds
        Older items of which both models are at least so sure are evaluated again only every so many rounds.
    own_strength
        Weight of an annotator's own one-coin model in their confusion matrix, in labels a class.
    pooled_strength
        Weight of the matrix pooled over annotators in an annotator's confusion matrix, in labels a class.
    skill_strength
        Weight of the pooled accuracy in an annotator's one-coin accuracy, in labels.
    symmetric_strength
        Weight of symmetric errors in the pooled matrix, in labels a class.
    accuracy_prior, accuracy_prior_strength
        Accuracy expected before anything is known, in (0, 1), and its weight in labels.
    share_strength_full, share_strength_one
        Weight of the classes' shares of the votes in the class prior, in items an item, for the full confusion and the
        one-coin model. The latter needs more: nothing else keeps its rare classes from vanishing.
    share_strength_items
        The same in items, whatever their number.
    anchor_events
        Events after which learning relies on the model as much as on the plain share of votes.
    evidence_threshold
        Log likelihood, in nats an item, that full confusion must gain before it is preferred for that alone.
    evidence_slope
        Log odds for full confusion per nat above the threshold.
    closeness_slope, closeness_max
        Log odds for the model that overturns fewer majorities, per log ratio of overturned shares, and their bound.
    correlation
        Correlation of annotators' errors on one item, in [0, 1): n labels weigh as n / (1 + (n - 1) correlation).
    learning_labels, learning_correlation
        In learning, an item's labels beyond so many count as correlated with these, by so much: n labels more weigh on
        each as 1 / (1 + n correlation). Without that, many labels make posteriors so sure of themselves that what is
        learnt depends on the order of the labels.
    misleading, misleading_strength
        Share of items whose labels say nothing about the answer, in (0, 1), and its weight in known answers.
    others_min
        The consensus of fewer others than this says nothing of a label.
    change_min
        An answer is replaced only if its class changes or a probability moves by at least this much.
    matrix_classes_max
        With more classes than this the one-coin model is used alone (a matrix takes 8 * classes ** 2 bytes).
    """

    chunk_events_min: int = 64
    chunk_events_max: int = 2048
    chunk_divisor: int = 64
    revisits_per_event: float = 1.0
    revisits_young: float = 2.0
    young_events: int = 131_072
    settled_probability: float = 0.995
    settled_rounds: int = 4
    own_strength: float = 2.0
    pooled_strength: float = 8.0
    skill_strength: float = 10.0
    symmetric_strength: float = 10.0
    accuracy_prior: float = 0.7
    accuracy_prior_strength: float = 10.0
    share_strength_full: float = 0.2
    share_strength_one: float = 1.0
    share_strength_items: float = 50.0
    anchor_events: float = 500.0
    evidence_threshold: float = 0.7
    evidence_slope: float = 8.0
    closeness_slope: float = 10.0
    closeness_max: float = 3.0
    correlation: float = 0.07
    learning_labels: float = 5.0
    learning_correlation: float = 0.1
    misleading: float = 0.04
    misleading_strength: float = 20.0
    others_min: int = 2
    change_min: float = 0.005
    matrix_classes_max: int = 32

    def chunk_events(self, events: int) -> int:
        """Length of the chunk that begins after ``events`` events."""
        return min(max(events // self.chunk_divisor, self.chunk_events_min), self.chunk_events_max)

    def revisits(self, events: int, chunk_events: int) -> int:
        """How many older items the end of a chunk evaluates again."""
        young = self.revisits_young * min(1.0, self.young_events / max(events, 1))
        return int((self.revisits_per_event + young) * chunk_events)
