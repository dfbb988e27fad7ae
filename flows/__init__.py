"""The top of the house: the Prefect flow, its server and deployments, and the commands."""
