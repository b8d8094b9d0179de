"""The control plane: what the operator sees and changes, one file per feature."""
