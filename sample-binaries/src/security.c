/* Security identifiers, the token, and what a file's descriptor says about who may do what with it. */
#include "check.h"
#include <aclapi.h>
#include <sddl.h>

static PSID user;

static void identifiers(void)
{
    HANDLE token;
    static union { TOKEN_USER user; BYTE bytes[256]; } info;
    DWORD size = 0;
    char *text = NULL;
    PSID again = NULL;
    CHECK("OpenProcessToken", OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token));
    CHECK_ERR("no room", GetTokenInformation(token, TokenUser, NULL, 0, &size), ERROR_INSUFFICIENT_BUFFER);
    CHECK("the token's user", size > 0 && size <= sizeof info && GetTokenInformation(token, TokenUser, &info, sizeof info, &size));
    user = info.user.User.Sid;
    CHECK("a valid SID", IsValidSid(user) && GetLengthSid(user) >= 12);
    CHECK("as text and back", ConvertSidToStringSidA(user, &text) && ConvertStringSidToSidA(text, &again) && EqualSid(user, again));
    LocalFree(text);
    LocalFree(again);
    CloseHandle(token);
}

/* What a list allows a SID. */
static DWORD allowed(PACL list, PSID who)
{
    DWORD i, mask = 0;
    for (i = 0; i < list->AceCount; i++) {
        ACCESS_ALLOWED_ACE *ace;
        if (GetAce(list, i, (void **)&ace) && ace->Header.AceType == ACCESS_ALLOWED_ACE_TYPE && EqualSid((PSID)&ace->SidStart, who))
            mask |= ace->Mask;
    }
    return mask;
}

static void files(void)
{
    static BYTE world[SECURITY_MAX_SID_SIZE];
    static BYTE relative[1024];
    DWORD size = sizeof world, needed = 0;
    PSECURITY_DESCRIPTOR descriptor = NULL;
    PSID owner = NULL, group = NULL;
    PACL list = NULL;
    BOOL present = FALSE, defaulted = FALSE;
    SECURITY_INFORMATION all = OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    HANDLE file = CreateFileA("secured.txt", GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    CHECK("Everyone", CreateWellKnownSid(WinWorldSid, NULL, world, &size));
    CHECK_INT("GetNamedSecurityInfo", GetNamedSecurityInfoA("secured.txt", SE_FILE_OBJECT, all, &owner, &group, &list, NULL, &descriptor), ERROR_SUCCESS);
    CHECK("a descriptor", descriptor && IsValidSecurityDescriptor(descriptor) && list && IsValidAcl(list));
    if (!list) return;
    CHECK("it is the user's", owner && EqualSid(owner, user));
    CHECK("a group", group && IsValidSid(group));
    CHECK("the owner reads, writes, deletes", (allowed(list, owner) & (FILE_GENERIC_READ | FILE_GENERIC_WRITE | DELETE)) ==
          (FILE_GENERIC_READ | FILE_GENERIC_WRITE | DELETE));
    CHECK_INT("everyone does not write", allowed(list, world) & (FILE_WRITE_DATA | WRITE_DAC | DELETE), 0);
    LocalFree(descriptor);
    CHECK_INT("GetSecurityInfo", GetSecurityInfo(file, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION, &owner, NULL, NULL, NULL, &descriptor), ERROR_SUCCESS);
    CHECK("the same owner", owner && EqualSid(owner, user));
    LocalFree(descriptor);
    CHECK_ERR("no room for a descriptor", GetFileSecurityA("secured.txt", all, relative, 4, &needed), ERROR_INSUFFICIENT_BUFFER);
    CHECK("GetFileSecurity", needed > 4 && needed <= sizeof relative && GetFileSecurityA("secured.txt", all, relative, sizeof relative, &needed));
    CHECK("its list", GetSecurityDescriptorDacl(relative, &present, &list, &defaulted) && present && list && list->AceCount > 0);
    CHECK_ERR("a file that is not there", GetFileSecurityA("no-such-file", all, relative, sizeof relative, &needed), ERROR_FILE_NOT_FOUND);
    CloseHandle(file);
    CHECK("a list for the owner alone", ConvertStringSecurityDescriptorToSecurityDescriptorA("D:P(A;;GRGW;;;OW)(A;;FA;;;SY)", SDDL_REVISION_1, &descriptor, NULL));
    CHECK("SetFileSecurity", SetFileSecurityA("secured.txt", DACL_SECURITY_INFORMATION, descriptor));
    LocalFree(descriptor);
    CHECK("is what it says", GetFileSecurityA("secured.txt", all, relative, sizeof relative, &needed) &&
          GetSecurityDescriptorDacl(relative, &present, &list, &defaulted) && list && allowed(list, world) == 0);
    CHECK_INT("and names take it too", SetNamedSecurityInfoA("secured.txt", SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, NULL, NULL, NULL, NULL), ERROR_SUCCESS);
    CHECK("no list: everyone", GetFileSecurityA("secured.txt", all, relative, sizeof relative, &needed) &&
          GetSecurityDescriptorDacl(relative, &present, &list, &defaulted) &&
          (!list || (allowed(list, world) & (FILE_GENERIC_READ | FILE_GENERIC_WRITE)) == (FILE_GENERIC_READ | FILE_GENERIC_WRITE)));
    CHECK("deleted", DeleteFileA("secured.txt"));
}

static void texts(void)
{
    PSECURITY_DESCRIPTOR descriptor = NULL;
    ULONG size = 0;
    char *text = NULL;
    WCHAR *wide = NULL;
    BOOL present = FALSE, defaulted = FALSE;
    PACL list = NULL;
    SECURITY_INFORMATION parts = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    CHECK("a descriptor from text", ConvertStringSecurityDescriptorToSecurityDescriptorA("O:BAD:P(A;OICI;GA;;;SY)(D;;0x7;;;WD)",
          SDDL_REVISION_1, &descriptor, &size) && IsValidSecurityDescriptor(descriptor));
    CHECK_INT("its size", size, GetSecurityDescriptorLength(descriptor));
    CHECK("its list", GetSecurityDescriptorDacl(descriptor, &present, &list, &defaulted) && present && list && list->AceCount == 2);
    CHECK("as text again", ConvertSecurityDescriptorToStringSecurityDescriptorA(descriptor, SDDL_REVISION_1, parts, &text, &size));
    CHECK_STR("the same", text, "O:BAD:P(A;OICI;GA;;;SY)(D;;CCDCLC;;;WD)");
    CHECK("as wide text", ConvertSecurityDescriptorToStringSecurityDescriptorW(descriptor, SDDL_REVISION_1, OWNER_SECURITY_INFORMATION, &wide, NULL)
          && !lstrcmpW(wide, L"O:BA"));
    LocalFree(text);
    LocalFree(wide);
    LocalFree(descriptor);
    CHECK_ERR("another revision", ConvertStringSecurityDescriptorToSecurityDescriptorA("O:BA", 2, &descriptor, NULL), ERROR_UNKNOWN_REVISION);
    CHECK("nonsense", !ConvertStringSecurityDescriptorToSecurityDescriptorA("D:(A;;", SDDL_REVISION_1, &descriptor, NULL));
}

int main(void)
{
    texts();
    identifiers();
    files();
    return check_done();
}
