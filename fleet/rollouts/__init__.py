"""What moves a rollout: facts and orders in, events of `fleet.rollout` out. Pure."""
