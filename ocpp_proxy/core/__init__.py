"""Pure knowledge of OCPP-J: frames, exchanges, schemas, findings. Touches nothing of the world."""
