"""The HTML report: one file that needs nothing else, written from what others have found out."""
