"""The Secure Remote Password protocol as user pools speak it: the password itself never travels.

Source: https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-authentication-flow-methods.html
and RFC 5054; the group is number 15 of RFC 3526.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass

PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7"
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C"
    "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    16,
)
GENERATOR = 2
_INFO = b"Caldera Derived Key"


def padded(number: int) -> bytes:
    """A number's bytes, never with the highest bit set."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def digest(*parts: bytes) -> int:
    """The hash of bytes in a row, as a number."""
    return int.from_bytes(hashlib.sha256(b"".join(parts)).digest(), "big")


MULTIPLIER = digest(padded(PRIME), padded(GENERATOR))


def secret_exponent(salt: int, pool_id: str, user_id: str, password: str) -> int:
    """What stands for the password in the protocol; ``pool_id`` with or without region."""
    who = hashlib.sha256(f"{pool_id.split('_', 1)[-1]}{user_id}:{password}".encode()).digest()
    return digest(padded(salt), who)


def key(secret: int, scrambler: int) -> bytes:
    """The key that both sides come to."""
    extracted = hmac.digest(padded(scrambler), padded(secret), "sha256")
    return hmac.digest(extracted, _INFO + b"\x01", "sha256")[:16]


def claim(session_key: bytes, pool_id: str, user_id: str, secret_block: str, timestamp: str) -> str:
    """The signature that proves to know the key."""
    who = f"{pool_id.split('_', 1)[-1]}{user_id}".encode()
    block = base64.b64decode(secret_block)
    return base64.b64encode(hmac.digest(session_key, who + block + timestamp.encode(), "sha256")).decode()


@dataclass(frozen=True, slots=True)
class Exchange:
    """The server's side of one sign-in."""

    pool_id: str
    user_id: str
    public: int
    client_public: int
    salt: int
    secret_block: str
    key: bytes

    @classmethod
    def begin(cls, pool_id: str, user_id: str, password: str, client_public: str) -> Exchange:
        """Answer a client's ``SRP_A``.

        Raises:
            ValueError: that is no number that a client may send.
        """
        theirs = int(client_public, 16)
        if theirs % PRIME == 0:
            raise ValueError("SRP_A is 0")
        salt, private = secrets.randbits(128), secrets.randbits(1024)
        verifier = pow(GENERATOR, secret_exponent(salt, pool_id, user_id, password), PRIME)
        ours = (MULTIPLIER * verifier + pow(GENERATOR, private, PRIME)) % PRIME
        scrambler = digest(padded(theirs), padded(ours))
        secret = pow(theirs * pow(verifier, scrambler, PRIME), private, PRIME)
        block = base64.b64encode(secrets.token_bytes(256)).decode()
        return cls(pool_id, user_id, ours, theirs, salt, block, key(secret, scrambler))

    def parameters(self, username: str) -> dict[str, str]:
        """What the client is told."""
        return {
            "SALT": f"{self.salt:x}",
            "SRP_B": f"{self.public:x}",
            "SECRET_BLOCK": self.secret_block,
            "USERNAME": username,
            "USER_ID_FOR_SRP": self.user_id,
        }

    def proven(self, secret_block: str, timestamp: str, signature: str) -> bool:
        """Whether the client knows the password."""
        try:
            expected = claim(self.key, self.pool_id, self.user_id, secret_block, timestamp)
        except binascii.Error:
            return False
        same_block = hmac.compare_digest(secret_block.encode(), self.secret_block.encode())
        return same_block and hmac.compare_digest(expected.encode(), signature.encode())
