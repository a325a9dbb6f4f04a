"""What families are made of: backbones and their weights, networks, heads, features, losses."""
