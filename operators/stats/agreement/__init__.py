"""Agreement between annotators: Krippendorff's alpha, Gwet's AC1, percent agreement, Cohen's kappa of pairs."""
