"""What happens without a caller."""
