"""How alerts leave the house: signed webhooks, and everything else through apprise."""
