"""What a model family is: it trains on samples, returns scores, and never grades itself."""
