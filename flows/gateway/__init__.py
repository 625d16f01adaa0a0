"""The gateway: annotation tools' webhooks in, durable events out."""
