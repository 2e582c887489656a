"""Many nets at once: trained side by side, compared, validated in folds."""
