"""``python -m fastbp demo | info | warmup``."""
