"""The evaluation of MiraBest F that is committed under results/evaluation."""
