/* Symmetric encryption, keys from passwords, data protected for the user, access checks: known answers from the standards, and
 * errors from the documentation pages. */
#include "check.h"
#include <bcrypt.h>
#include <wincrypt.h>
#include <dpapi.h>
#include <aclapi.h>
#include <ntsecapi.h>

static unsigned char plain[32];

static int contains(const BYTE *data, DWORD size, const char *text, DWORD length)
{
    DWORD i;
    for (i = 0; i + length <= size; i++)
        if (!memcmp(data + i, text, length)) return 1;
    return 0;
}

static void chained(void)
{
    /* NIST SP 800-38A, F.2.1 */
    static const UCHAR key[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
    static const UCHAR first[16] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a};
    static const UCHAR want[16] = {0x76, 0x49, 0xab, 0xac, 0x81, 0x19, 0xb2, 0x46, 0xce, 0xe9, 0x8e, 0x9b, 0x12, 0xe9, 0x19, 0x7d};
    BCRYPT_ALG_HANDLE aes = NULL;
    BCRYPT_KEY_HANDLE handle = NULL, copy = NULL;
    UCHAR iv[16], out[64], blob[64];
    ULONG length = 0, size = 0;
    int i;

    for (i = 0; i < 16; i++) iv[i] = (UCHAR)i;
    CHECK_HEX("BCryptOpenAlgorithmProvider", (ULONG)BCryptOpenAlgorithmProvider(&aes, BCRYPT_AES_ALGORITHM, NULL, 0), 0);
    CHECK_HEX("BCryptSetProperty", (ULONG)BCryptSetProperty(aes, BCRYPT_CHAINING_MODE, (PUCHAR)BCRYPT_CHAIN_MODE_CBC,
                                                            sizeof BCRYPT_CHAIN_MODE_CBC, 0), 0);
    CHECK_HEX("ObjectLength", (ULONG)BCryptGetProperty(aes, BCRYPT_OBJECT_LENGTH, (PUCHAR)&size, sizeof size, &length, 0), 0);
    CHECK_HEX("BlockLength", (ULONG)BCryptGetProperty(aes, BCRYPT_BLOCK_LENGTH, (PUCHAR)&size, sizeof size, &length, 0), 0);
    CHECK_INT("a block", size, 16);
    CHECK_HEX("a key of no length", (ULONG)BCryptGenerateSymmetricKey(aes, &handle, NULL, 0, (PUCHAR)key, 15, 0), 0xC000000Du);
    CHECK_HEX("BCryptGenerateSymmetricKey", (ULONG)BCryptGenerateSymmetricKey(aes, &handle, NULL, 0, (PUCHAR)key, 16, 0), 0);
    CHECK_HEX("BCryptEncrypt", (ULONG)BCryptEncrypt(handle, (PUCHAR)first, 16, NULL, iv, 16, out, sizeof out, &length, 0), 0);
    CHECK("known answer", length == 16 && !memcmp(out, want, 16));
    CHECK("the chaining value goes on", !memcmp(iv, want, 16));
    CHECK_HEX("no whole block", (ULONG)BCryptEncrypt(handle, (PUCHAR)first, 5, NULL, iv, 16, out, sizeof out, &length, 0), 0xC0000206u);
    memset(iv, 0, 16);
    CHECK_HEX("length", (ULONG)BCryptEncrypt(handle, (PUCHAR)first, 5, NULL, iv, 16, NULL, 0, &length, BCRYPT_BLOCK_PADDING), 0);
    CHECK_INT("padded", length, 16);
    CHECK_HEX("padding", (ULONG)BCryptEncrypt(handle, (PUCHAR)first, 5, NULL, iv, 16, out, sizeof out, &length, BCRYPT_BLOCK_PADDING), 0);
    memset(iv, 0, 16);
    CHECK_HEX("BCryptDecrypt", (ULONG)BCryptDecrypt(handle, out, 16, NULL, iv, 16, out + 16, 16, &length, BCRYPT_BLOCK_PADDING), 0);
    CHECK("as it was", length == 5 && !memcmp(out + 16, first, 5));
    CHECK_HEX("BCryptExportKey", (ULONG)BCryptExportKey(handle, NULL, BCRYPT_KEY_DATA_BLOB, blob, sizeof blob, &length, 0), 0);
    CHECK("blob", length == 28 && !memcmp(blob + 12, key, 16));
    CHECK_HEX("BCryptImportKey", (ULONG)BCryptImportKey(aes, NULL, BCRYPT_KEY_DATA_BLOB, &copy, NULL, 0, blob, length, 0), 0);
    CHECK_HEX("BCryptDestroyKey", (ULONG)BCryptDestroyKey(copy), 0);
    CHECK_HEX("BCryptDestroyKey again", (ULONG)BCryptDestroyKey(copy), 0xC0000008u);
    BCryptDestroyKey(handle);
    BCryptCloseAlgorithmProvider(aes, 0);
}

static void sealed(void)
{
    BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO info;
    BCRYPT_ALG_HANDLE aes = NULL;
    BCRYPT_KEY_HANDLE handle = NULL;
    UCHAR key[16] = {0}, nonce[12] = {0}, tag[16], out[16], back[16];
    static const UCHAR want[4] = {0x03, 0x88, 0xda, 0xce}, want_tag[4] = {0xab, 0x6e, 0x47, 0xd4};
    ULONG length = 0;

    BCryptOpenAlgorithmProvider(&aes, BCRYPT_AES_ALGORITHM, NULL, 0);
    BCryptSetProperty(aes, BCRYPT_CHAINING_MODE, (PUCHAR)BCRYPT_CHAIN_MODE_GCM, sizeof BCRYPT_CHAIN_MODE_GCM, 0);
    BCryptGenerateSymmetricKey(aes, &handle, NULL, 0, key, 16, 0);
    BCRYPT_INIT_AUTH_MODE_INFO(info);
    info.pbNonce = nonce, info.cbNonce = 12, info.pbTag = tag, info.cbTag = 16;
    CHECK_HEX("GCM", (ULONG)BCryptEncrypt(handle, plain, 16, &info, NULL, 0, out, 16, &length, 0), 0);
    CHECK("GCM known answer", !memcmp(out, want, 4) && !memcmp(tag, want_tag, 4));
    CHECK_HEX("GCM back", (ULONG)BCryptDecrypt(handle, out, 16, &info, NULL, 0, back, 16, &length, 0), 0);
    CHECK("GCM plain", !memcmp(back, plain, 16));
    tag[0] ^= 1;
    CHECK_HEX("GCM wrong tag", (ULONG)BCryptDecrypt(handle, out, 16, &info, NULL, 0, back, 16, &length, 0), 0xC000A002u);
    BCryptDestroyKey(handle);
    BCryptCloseAlgorithmProvider(aes, 0);
}

static void passwords(void)
{
    static const UCHAR want[8] = {0xea, 0x6c, 0x01, 0x4d, 0xc7, 0x2d, 0x6f, 0x8c}; /* RFC 6070 */
    BCRYPT_ALG_HANDLE hmac = NULL;
    UCHAR out[20];

    BCryptOpenAlgorithmProvider(&hmac, BCRYPT_SHA1_ALGORITHM, NULL, BCRYPT_ALG_HANDLE_HMAC_FLAG);
    CHECK_HEX("BCryptDeriveKeyPBKDF2", (ULONG)BCryptDeriveKeyPBKDF2(hmac, (PUCHAR)"password", 8, (PUCHAR)"salt", 4, 2, out, 20, 0), 0);
    CHECK("RFC 6070", !memcmp(out, want, 8));
    BCryptCloseAlgorithmProvider(hmac, 0);
}

static void protection(void)
{
    DATA_BLOB in = {6, (BYTE *)"secret"}, entropy = {4, (BYTE *)"salt"}, protected, out;
    LPWSTR description = NULL;
    BYTE memory[32] = "sixteen bytes or thirty-two....";

    CHECK("CryptProtectData", CryptProtectData(&in, L"what it is", &entropy, NULL, NULL, CRYPTPROTECT_UI_FORBIDDEN, &protected));
    CHECK("not to be read", protected.cbData > 6 && !contains(protected.pbData, protected.cbData, "secret", 6));
    CHECK("CryptUnprotectData", CryptUnprotectData(&protected, &description, &entropy, NULL, NULL, CRYPTPROTECT_UI_FORBIDDEN, &out));
    CHECK("the data", out.cbData == 6 && !memcmp(out.pbData, "secret", 6));
    CHECK_WSTR("the description", description, L"what it is");
    LocalFree(out.pbData);
    LocalFree(description);
    CHECK_ERR("without the entropy", CryptUnprotectData(&protected, NULL, NULL, NULL, NULL, CRYPTPROTECT_UI_FORBIDDEN, &out),
              ERROR_INVALID_DATA);
    protected.pbData[protected.cbData - 1] ^= 1;
    CHECK("damaged", !CryptUnprotectData(&protected, NULL, &entropy, NULL, NULL, CRYPTPROTECT_UI_FORBIDDEN, &out));
    LocalFree(protected.pbData);
    CHECK("CryptProtectMemory", CryptProtectMemory(memory, 32, CRYPTPROTECTMEMORY_SAME_PROCESS) && memcmp(memory, "sixteen", 7));
    CHECK("CryptUnprotectMemory", CryptUnprotectMemory(memory, 32, CRYPTPROTECTMEMORY_SAME_PROCESS) && !memcmp(memory, "sixteen", 7));
    CHECK("no whole blocks", !CryptProtectMemory(memory, 15, CRYPTPROTECTMEMORY_SAME_PROCESS));
}

static void access(void)
{
    GENERIC_MAPPING mapping = {FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE, FILE_ALL_ACCESS};
    SID_IDENTIFIER_AUTHORITY world = {SECURITY_WORLD_SID_AUTHORITY};
    EXPLICIT_ACCESSW entries[2];
    ACL_SIZE_INFORMATION size;
    ACE_HEADER *ace = NULL;
    PACL list = NULL;
    PSID everyone = NULL;
    DWORD mask = GENERIC_READ | DELETE;

    MapGenericMask(&mask, &mapping);
    CHECK_HEX("MapGenericMask", mask, FILE_GENERIC_READ | DELETE);
    AllocateAndInitializeSid(&world, 1, SECURITY_WORLD_RID, 0, 0, 0, 0, 0, 0, 0, &everyone);
    memset(entries, 0, sizeof entries);
    entries[0].grfAccessPermissions = GENERIC_READ, entries[0].grfAccessMode = GRANT_ACCESS;
    BuildTrusteeWithSidW(&entries[0].Trustee, everyone);
    entries[1] = entries[0];
    entries[1].grfAccessPermissions = GENERIC_WRITE, entries[1].grfAccessMode = DENY_ACCESS;
    CHECK_INT("SetEntriesInAclW", SetEntriesInAclW(2, entries, NULL, &list), ERROR_SUCCESS);
    CHECK("valid", IsValidAcl(list));
    CHECK("GetAclInformation", GetAclInformation(list, &size, sizeof size, AclSizeInformation) && size.AceCount == 2);
    CHECK("denials come first", GetAce(list, 0, (void **)&ace) && ace->AceType == ACCESS_DENIED_ACE_TYPE);
    LocalFree(list);
    FreeSid(everyone);
    CHECK_INT("LsaNtStatusToWinError", LsaNtStatusToWinError((NTSTATUS)0xC0000022), ERROR_ACCESS_DENIED);
}

int main(void)
{
    chained();
    sealed();
    passwords();
    protection();
    access();
    return check_done();
}
