/* Key pairs: signatures, encryption, secrets that are shared, and the blobs that keys travel in. A signature of RFC 6979 is known; what
 * is random is checked both ways. */
#include "check.h"
#include <bcrypt.h>
#include <ncrypt.h>
#include <wincrypt.h>

/* RFC 6979, A.2.5: the public key of P-256, and the signature of "sample" with SHA-256. */
static const UCHAR point[64] = {
    0x60, 0xFE, 0xD4, 0xBA, 0x25, 0x5A, 0x9D, 0x31, 0xC9, 0x61, 0xEB, 0x74, 0xC6, 0x35, 0x6D, 0x68, 0xC0, 0x49, 0xB8, 0x92, 0x3B, 0x61,
    0xFA, 0x6C, 0xE6, 0x69, 0x62, 0x2E, 0x60, 0xF2, 0x9F, 0xB6, 0x79, 0x03, 0xFE, 0x10, 0x08, 0xB8, 0xBC, 0x99, 0xA4, 0x1A, 0xE9, 0xE9,
    0x56, 0x28, 0xBC, 0x64, 0xF2, 0xF1, 0xB2, 0x0C, 0x2D, 0x7E, 0x9F, 0x51, 0x77, 0xA3, 0xC2, 0x94, 0xD4, 0x46, 0x22, 0x99};
static const UCHAR known[64] = {
    0xEF, 0xD4, 0x8B, 0x2A, 0xAC, 0xB6, 0xA8, 0xFD, 0x11, 0x40, 0xDD, 0x9C, 0xD4, 0x5E, 0x81, 0xD6, 0x9D, 0x2C, 0x87, 0x7B, 0x56, 0xAA,
    0xF9, 0x91, 0xC3, 0x4D, 0x0E, 0xA8, 0x4E, 0xAF, 0x37, 0x16, 0xF7, 0xCB, 0x1C, 0x94, 0x2D, 0x65, 0x7C, 0x41, 0xD4, 0x36, 0xC7, 0xA1,
    0xB6, 0xE2, 0x9F, 0x65, 0xF3, 0xE9, 0x00, 0xDB, 0xB9, 0xAF, 0xF4, 0x06, 0x4D, 0xC4, 0xAB, 0x2F, 0x84, 0x3A, 0xCD, 0xA8};

static UCHAR digest[32], buffer[2048], other[2048];

static void hash(void)
{
    BCRYPT_ALG_HANDLE sha = NULL;
    BCryptOpenAlgorithmProvider(&sha, BCRYPT_SHA256_ALGORITHM, NULL, 0);
    CHECK_HEX("BCryptHash", (ULONG)BCryptHash(sha, NULL, 0, (PUCHAR)"sample", 6, digest, 32), 0);
    BCryptCloseAlgorithmProvider(sha, 0);
}

static void curves(void)
{
    BCRYPT_ALG_HANDLE ecdsa = NULL, ecdh = NULL;
    BCRYPT_KEY_HANDLE key = NULL, copy = NULL, a = NULL, b = NULL;
    BCRYPT_SECRET_HANDLE ab = NULL, ba = NULL;
    BCRYPT_ECCKEY_BLOB *header = (BCRYPT_ECCKEY_BLOB *)buffer;
    ULONG length = 0;

    CHECK_HEX("ECDSA", (ULONG)BCryptOpenAlgorithmProvider(&ecdsa, BCRYPT_ECDSA_P256_ALGORITHM, NULL, 0), 0);
    header->dwMagic = BCRYPT_ECDSA_PUBLIC_P256_MAGIC, header->cbKey = 32;
    memcpy(header + 1, point, 64);
    CHECK_HEX("BCryptImportKeyPair", (ULONG)BCryptImportKeyPair(ecdsa, NULL, BCRYPT_ECCPUBLIC_BLOB, &key, buffer, 72, 0), 0);
    CHECK_HEX("RFC 6979", (ULONG)BCryptVerifySignature(key, NULL, digest, 32, (PUCHAR)known, 64, 0), 0);
    digest[0] ^= 1;
    CHECK_HEX("another hash", (ULONG)BCryptVerifySignature(key, NULL, digest, 32, (PUCHAR)known, 64, 0), 0xC000A000u);
    digest[0] ^= 1;
    CHECK("no private key", BCryptSignHash(key, NULL, digest, 32, buffer, sizeof buffer, &length, 0) != 0);
    BCryptDestroyKey(key);
    buffer[20] ^= 1;
    CHECK("not on the curve", BCryptImportKeyPair(ecdsa, NULL, BCRYPT_ECCPUBLIC_BLOB, &key, buffer, 72, 0) != 0);

    CHECK_HEX("BCryptGenerateKeyPair", (ULONG)BCryptGenerateKeyPair(ecdsa, &key, 256, 0), 0);
    CHECK_HEX("BCryptFinalizeKeyPair", (ULONG)BCryptFinalizeKeyPair(key, 0), 0);
    CHECK_HEX("BCryptSignHash", (ULONG)BCryptSignHash(key, NULL, digest, 32, other, sizeof other, &length, 0), 0);
    CHECK_INT("a signature's size", length, 64);
    CHECK_HEX("BCryptExportKey", (ULONG)BCryptExportKey(key, NULL, BCRYPT_ECCPRIVATE_BLOB, buffer, sizeof buffer, &length, 0), 0);
    CHECK_INT("a blob's size", length, 8 + 3 * 32);
    CHECK_HEX("the blob", (ULONG)BCryptImportKeyPair(ecdsa, NULL, BCRYPT_ECCPRIVATE_BLOB, &copy, buffer, length, 0), 0);
    CHECK_HEX("BCryptVerifySignature", (ULONG)BCryptVerifySignature(copy, NULL, digest, 32, other, 64, 0), 0);
    BCryptDestroyKey(key);
    BCryptDestroyKey(copy);
    BCryptCloseAlgorithmProvider(ecdsa, 0);

    BCryptOpenAlgorithmProvider(&ecdh, BCRYPT_ECDH_P384_ALGORITHM, NULL, 0);
    BCryptGenerateKeyPair(ecdh, &a, 384, 0), BCryptFinalizeKeyPair(a, 0);
    BCryptGenerateKeyPair(ecdh, &b, 384, 0), BCryptFinalizeKeyPair(b, 0);
    CHECK_HEX("BCryptSecretAgreement", (ULONG)BCryptSecretAgreement(a, b, &ab, 0), 0);
    CHECK_HEX("and back", (ULONG)BCryptSecretAgreement(b, a, &ba, 0), 0);
    CHECK_HEX("BCryptDeriveKey", (ULONG)BCryptDeriveKey(ab, BCRYPT_KDF_HASH, NULL, buffer, 20, &length, 0), 0);
    CHECK_HEX("of the other", (ULONG)BCryptDeriveKey(ba, BCRYPT_KDF_HASH, NULL, other, 20, &length, 0), 0);
    CHECK("the same", length == 20 && !memcmp(buffer, other, 20));
    CHECK_HEX("BCryptDestroySecret", (ULONG)BCryptDestroySecret(ab), 0);
    BCryptDestroySecret(ba);
    BCryptDestroyKey(a);
    BCryptDestroyKey(b);
    BCryptCloseAlgorithmProvider(ecdh, 0);
}

static void rsa(void)
{
    BCRYPT_PKCS1_PADDING_INFO pkcs1 = {BCRYPT_SHA256_ALGORITHM};
    BCRYPT_PSS_PADDING_INFO pss = {BCRYPT_SHA256_ALGORITHM, 32};
    BCRYPT_OAEP_PADDING_INFO oaep = {BCRYPT_SHA1_ALGORITHM, NULL, 0};
    BCRYPT_RSAKEY_BLOB *header = (BCRYPT_RSAKEY_BLOB *)buffer;
    BCRYPT_ALG_HANDLE provider = NULL;
    BCRYPT_KEY_HANDLE key = NULL, public = NULL;
    ULONG length = 0, bits = 0;

    BCryptOpenAlgorithmProvider(&provider, BCRYPT_RSA_ALGORITHM, NULL, 0);
    CHECK_HEX("a length that no key has", (ULONG)BCryptGenerateKeyPair(provider, &key, 100, 0), 0xC000000Du);
    CHECK_HEX("RSA", (ULONG)BCryptGenerateKeyPair(provider, &key, 1024, 0), 0);
    CHECK_HEX("made", (ULONG)BCryptFinalizeKeyPair(key, 0), 0);
    CHECK_HEX("KeyLength", (ULONG)BCryptGetProperty(key, BCRYPT_KEY_LENGTH, (PUCHAR)&bits, 4, &length, 0), 0);
    CHECK_INT("its length", bits, 1024);
    CHECK_HEX("public blob", (ULONG)BCryptExportKey(key, NULL, BCRYPT_RSAPUBLIC_BLOB, buffer, sizeof buffer, &length, 0), 0);
    CHECK("its header", header->Magic == BCRYPT_RSAPUBLIC_MAGIC && header->BitLength == 1024 && header->cbModulus == 128 && header->cbPrime1 == 0);
    CHECK_HEX("and back", (ULONG)BCryptImportKeyPair(provider, NULL, BCRYPT_RSAPUBLIC_BLOB, &public, buffer, length, 0), 0);
    CHECK_HEX("PKCS #1", (ULONG)BCryptSignHash(key, &pkcs1, digest, 32, other, 128, &length, BCRYPT_PAD_PKCS1), 0);
    CHECK_HEX("verified", (ULONG)BCryptVerifySignature(public, &pkcs1, digest, 32, other, 128, BCRYPT_PAD_PKCS1), 0);
    CHECK_HEX("as PSS", (ULONG)BCryptVerifySignature(public, &pss, digest, 32, other, 128, BCRYPT_PAD_PSS), 0xC000A000u);
    CHECK_HEX("PSS", (ULONG)BCryptSignHash(key, &pss, digest, 32, other, 128, &length, BCRYPT_PAD_PSS), 0);
    CHECK_HEX("PSS verified", (ULONG)BCryptVerifySignature(public, &pss, digest, 32, other, 128, BCRYPT_PAD_PSS), 0);
    CHECK_HEX("the size", (ULONG)BCryptEncrypt(public, digest, 32, &oaep, NULL, 0, NULL, 0, &length, BCRYPT_PAD_OAEP), 0);
    CHECK_INT("of the modulus", length, 128);
    CHECK_HEX("OAEP", (ULONG)BCryptEncrypt(public, digest, 32, &oaep, NULL, 0, other, 128, &length, BCRYPT_PAD_OAEP), 0);
    CHECK_HEX("OAEP back", (ULONG)BCryptDecrypt(key, other, 128, &oaep, NULL, 0, buffer, 128, &length, BCRYPT_PAD_OAEP), 0);
    CHECK("as it was", length == 32 && !memcmp(buffer, digest, 32));
    CHECK_HEX("the whole pair", (ULONG)BCryptExportKey(key, NULL, BCRYPT_RSAFULLPRIVATE_BLOB, buffer, sizeof buffer, &length, 0), 0);
    CHECK("all numbers", header->cbPrime1 == 64 && length == 24 + 3 + 128 + 5 * 64 + 128);
    BCryptDestroyKey(public);
    CHECK_HEX("not of a public key", (ULONG)BCryptDestroyKey(public), 0xC0000008u);
    BCryptDestroyKey(key);
    BCryptCloseAlgorithmProvider(provider, 0);
}

static void storage(void)
{
    NCRYPT_PROV_HANDLE provider = 0;
    NCRYPT_KEY_HANDLE key = 0, public = 0;
    DWORD length = 0;

    CHECK_HEX("NCryptOpenStorageProvider", NCryptOpenStorageProvider(&provider, MS_KEY_STORAGE_PROVIDER, 0), 0);
    CHECK_HEX("no such key", (DWORD)NCryptOpenKey(provider, &key, L"transom-none", 0, 0), (DWORD)NTE_BAD_KEYSET);
    CHECK_HEX("NCryptIsAlgSupported", NCryptIsAlgSupported(provider, BCRYPT_ECDSA_P256_ALGORITHM, 0), 0);
    CHECK_HEX("NCryptCreatePersistedKey", NCryptCreatePersistedKey(provider, &key, BCRYPT_ECDSA_P256_ALGORITHM, NULL, 0, 0), 0);
    CHECK_HEX("NCryptFinalizeKey", NCryptFinalizeKey(key, 0), 0);
    CHECK_HEX("NCryptSignHash", NCryptSignHash(key, NULL, digest, 32, other, sizeof other, &length, 0), 0);
    CHECK_HEX("NCryptExportKey", NCryptExportKey(key, 0, BCRYPT_ECCPUBLIC_BLOB, NULL, buffer, sizeof buffer, &length, 0), 0);
    CHECK("the private one is kept", NCryptExportKey(key, 0, BCRYPT_ECCPRIVATE_BLOB, NULL, buffer + 128, 128, &length, 0) != 0);
    CHECK_HEX("NCryptImportKey", NCryptImportKey(provider, 0, BCRYPT_ECCPUBLIC_BLOB, NULL, &public, buffer, 72, 0), 0);
    CHECK_HEX("NCryptVerifySignature", NCryptVerifySignature(public, NULL, digest, 32, other, 64, 0), 0);
    other[3] ^= 1;
    CHECK_HEX("damaged", (DWORD)NCryptVerifySignature(public, NULL, digest, 32, other, 64, 0), (DWORD)NTE_BAD_SIGNATURE);
    CHECK_HEX("NCryptFreeObject", NCryptFreeObject(public), 0);
    NCryptFreeObject(key);
    NCryptFreeObject(provider);
}

/* CryptoAPI: a pair, its blobs, a signature by bcrypt's side of it, and AES in chains. */
static void legacy(void)
{
    HCRYPTPROV provider = 0;
    HCRYPTKEY pair = 0, public = 0, aes = 0;
    DWORD length = 5, size = 4, bits = 0;

    CHECK("CryptAcquireContextW", CryptAcquireContextW(&provider, NULL, NULL, PROV_RSA_AES, CRYPT_VERIFYCONTEXT));
    CHECK("CryptGenKey", CryptGenKey(provider, AT_KEYEXCHANGE, (1024 << 16) | CRYPT_EXPORTABLE, &pair));
    CHECK("CryptGetKeyParam", CryptGetKeyParam(pair, KP_KEYLEN, (BYTE *)&bits, &size, 0) && bits == 1024);
    size = sizeof other;
    CHECK("CryptExportKey", CryptExportKey(pair, 0, PUBLICKEYBLOB, 0, other, &size) && size == 20 + 128);
    CHECK("CryptImportKey", CryptImportKey(provider, other, size, 0, 0, &public));
    memcpy(buffer, "hello", 5);
    CHECK("CryptEncrypt", CryptEncrypt(public, 0, TRUE, 0, buffer, &length, 128) && length == 128);
    CHECK("CryptDecrypt", CryptDecrypt(pair, 0, TRUE, 0, buffer, &length) && length == 5 && !memcmp(buffer, "hello", 5));
    size = sizeof other;
    CHECK("PRIVATEKEYBLOB", CryptExportKey(pair, 0, PRIVATEKEYBLOB, 0, other, &size) && size == 20 + 2 * 128 + 5 * 64);
    CHECK("CryptDestroyKey", CryptDestroyKey(pair) && CryptDestroyKey(public));
    CHECK("AES", CryptGenKey(provider, CALG_AES_256, CRYPT_EXPORTABLE, &aes));
    CHECK("padded", CryptEncrypt(aes, 0, TRUE, 0, buffer, &length, sizeof buffer) && length == 16);
    CHECK("and back", CryptDecrypt(aes, 0, TRUE, 0, buffer, &length) && length == 5 && !memcmp(buffer, "hello", 5));
    size = sizeof other;
    CHECK("PLAINTEXTKEYBLOB", CryptExportKey(aes, 0, PLAINTEXTKEYBLOB, 0, other, &size) && size == 12 + 32);
    CryptDestroyKey(aes);
    CHECK("CryptReleaseContext", CryptReleaseContext(provider, 0));
}

int main(void)
{
    hash();
    curves();
    rsa();
    storage();
    legacy();
    return check_done();
}
