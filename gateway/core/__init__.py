"""What is true about money, tokens, prices and calls. Pure: decides and describes, never does."""
