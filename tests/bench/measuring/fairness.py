"""Fairness at the key socket: four programs sign with four TPM keys at once, while the TPM makes further keys."""
import concurrent.futures

from .signatures import Signer
from .table import row

CLIENTS = 4  # one more than swtpm has room for


def _round(room, signers, milliseconds):
    """Slowest over fastest, their sum, and how many keys were made meanwhile."""
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(signer.turn, milliseconds) for signer in signers]
        made = 0
        while not all(one.done() for one in running):
            room.enroll("fair-new")
            made += 1
    rates = [one.result() for one in running]
    return max(rates) / min(rates), sum(rates), made


def measure(room, given):
    room.ensure_profile("fair-new", "tpm", "rsa-2048")
    signers = []
    try:
        for number in range(CLIENTS):
            name = f"fair-{number}"
            room.ensure_profile(name, "tpm", "ec-p256")
            room.enroll(name)
            signers.append(Signer(room, "evp", "ksp", f"ksp:{name}"))
        rounds = [_round(room, signers, 10 * given.turn_ms) for _ in range(given.rounds)]
    finally:
        for signer in signers:
            signer.close()
    ratios, sums, made = (list(values) for values in zip(*rounds))
    return [{"title": "Fairness", "unit": "", "ratio": "",
             "rows": [row("slowest over fastest of 4 clients, keys being made", ratios, target=("at most", 1.5)),
                      row("P-256 signatures per second, all together", sums),
                      row("keys made meanwhile, each round", [float(n) for n in made])],
             "notes": [f"{given.rounds} rounds of {10 * given.turn_ms} ms; keys are enrolled one after the other"],
             "samples": {"ratios": ratios, "sums": sums, "made": made}}]
