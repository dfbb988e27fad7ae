"""The plan language: from YAML to cells. Needs neither torch nor the other rooms."""
