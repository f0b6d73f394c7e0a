"""The dialogs: what is asked for before something is done."""
