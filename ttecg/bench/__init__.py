"""How fast this machine is at what the project does: one module per verb of `ttecg bench`."""
