"""What a run leaves: records, folder, models, scores, provenance, a sign of life, pictures."""
