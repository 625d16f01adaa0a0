"""Named queries of consensus, agreement and what annotators are like."""

from monitor.queries.named import ANNOTATOR, ITEM, PROJECT, QUESTION, NamedQuery, named_query

_ALPHA = ("level", "items", "labels", "alpha", "alpha_low", "alpha_high")
_OTHERS = ("ac1", "ac1_low", "ac1_high", "percent_agreement", "percent_low", "percent_high")
_BY_QUESTION = (PROJECT, QUESTION)

QUERIES_OF_STATISTICS: tuple[NamedQuery, ...] = (
    named_query(
        "consensus",
        "the answer of each item by the consensus of its annotators",
        view="consensus",
        columns=("project_id", "question_id", "item_id", "consensus", "confidence", "labels", "status", "deviation"),
        identifiers=(PROJECT, QUESTION, ITEM),
        order=("project_id", "question_id", "item_id"),
    ),
    named_query(
        "posteriors",
        "the consensus of each item with the probability of each class",
        view="consensus",
        columns=("project_id", "question_id", "item_id", "consensus", "confidence", "labels", "status", "posterior"),
        identifiers=(PROJECT, QUESTION, ITEM),
        order=("project_id", "question_id", "item_id"),
    ),
    named_query(
        "options",
        "strength of each option of pairwise preferences, the strongest first",
        view="options",
        columns=("project_id", "question_id", "option", "strength", "deviation", "comparisons"),
        identifiers=_BY_QUESTION,
        order=("project_id", "question_id", "strength DESC", "option"),
    ),
    named_query(
        "agreement",
        "how far annotators agree on each question",
        view="agreement",
        columns=("project_id", "question_id", *_ALPHA, *_OTHERS),
        identifiers=_BY_QUESTION,
        order=("project_id", "question_id"),
    ),
    named_query(
        "agreement-windows",
        "how far annotators agree on the items of each window of time",
        view="agreement_windows",
        columns=("project_id", "question_id", "window_start", "window_end", "is_final", *_ALPHA, *_OTHERS),
        identifiers=_BY_QUESTION,
        time="window_start",
        order=("project_id", "question_id", "window_start"),
    ),
    named_query(
        "pairs",
        "how far pairs of annotators with 20 shared items or more agree, the least first",
        view="pairs",
        columns=(
            "project_id", "question_id", "annotator_id", "other_annotator_id", "shared_items", "percent_agreement",
            "kappa",
        ),
        identifiers=(PROJECT, QUESTION, ANNOTATOR),
        order=("project_id", "question_id", "kappa", "annotator_id", "other_annotator_id"),
    ),
    named_query(
        "class-bias",
        "how much oftener each annotator gives a class than it is true",
        view="class_bias",
        columns=(
            "project_id", "question_id", "annotator_id", "label", "given", "true", "share_given", "share_true", "bias",
            "bias_low", "bias_high",
        ),
        identifiers=(PROJECT, QUESTION, ANNOTATOR),
        order=("project_id", "question_id", "annotator_id", "label"),
    ),
    named_query(
        "annotator-quality",
        "each annotator in the light of the others: estimated accuracy, haste, repeated answers",
        view="annotators",
        columns=(
            "project_id", "question_id", "annotator_id", "labels", "gold_labels", "accuracy", "accuracy_estimate",
            "estimate_low", "estimate_high", "consensus_labels", "consensus_accuracy", "consensus_low",
            "consensus_high", "fast_share", "fast_low", "fast_high", "longest_run", "longest_run_label",
            "longest_run_chance", "skips", "skips_in_a_row",
        ),
        identifiers=(PROJECT, QUESTION, ANNOTATOR),
        order=("project_id", "question_id", "annotator_id"),
    ),
)  # fmt: skip
