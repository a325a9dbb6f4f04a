"""What a run's stages do: pictures and split, searches, evaluation, ablation. Each leaves alone what is done."""
