"""What runs before."""
