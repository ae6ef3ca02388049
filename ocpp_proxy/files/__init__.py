"""The readers of the files that knowledge and configuration are kept in: schemas, rules, YAML."""
