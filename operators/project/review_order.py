"""The order of a label's reviews: by their stamps, and by the log where these are equal."""

from operators.project.state import LabelRecord, ReviewRecord

ACCEPT, FIX, REJECT = "accept", "fix", "reject"


def first_review(label: LabelRecord) -> ReviewRecord:
    """Return the review of a label that was stamped first; of equal stamps the first in the log."""
    assert label.reviews
    return min(label.reviews, key=lambda review: review.occurred_at)


def newest_review(label: LabelRecord) -> ReviewRecord:
    """Return the review of a label that was stamped last; of equal stamps the last in the log."""
    assert label.reviews
    return max(reversed(label.reviews), key=lambda review: review.occurred_at)
