/* Prints how the C compiler lays the structures of the Windows headers out: a line each, name, size, and the
 * offsets of the fields that Transom's own declaration of the structure has. Those declarations are tested against it. */
#define WIN32_LEAN_AND_MEAN
#define PSAPI_VERSION 1
#include <windows.h>
#include <winternl.h>
#include <mmsystem.h>
#include <psapi.h>
#include <tlhelp32.h>
#include <wincrypt.h>
#include <bcrypt.h>
#define SECURITY_WIN32
#include <sspi.h>
#include <schannel.h>
#include <stddef.h>
#include <stdio.h>

/* What the compilers' headers declare for drivers only, from the documentation. */
typedef struct {
    SHORT Year, Month, Day, Hour, Minute, Second, Milliseconds, Weekday;
} TIME_FIELDS;

/* Of schannel's newer credentials, which the compilers' headers do not all have. */
typedef struct {
    DWORD cAlpnIds; void *rgstrAlpnIds; DWORD grbitDisabledProtocols, cDisabledCrypto; void *pDisabledCrypto; DWORD dwFlags;
} TlsParameters;
#define TLS_PARAMETERS TlsParameters
typedef struct {
    DWORD dwVersion, dwCredFormat, cCreds; void *paCred, *hRootStore; DWORD cMappers; void *aphMappers; DWORD dwSessionLifespan, dwFlags,
        cTlsParameters; void *pTlsParameters;
} TlsCredentials;
#define SCH_CREDENTIALS TlsCredentials

#define S(T) { typedef T type; printf("%s size %d fields", #T, (int)sizeof(type));
#define F(f) printf(" %d", (int)offsetof(type, f));
#define BITS printf(" 0"); /* a bit field at the beginning */
#define E printf("\n"); }

int main(void)
{
    S(SECURITY_DESCRIPTOR) F(Revision) F(Sbz1) F(Control) F(Owner) F(Group) F(Sacl) F(Dacl) E
    S(GUID) F(Data1) F(Data2) F(Data3) F(Data4) E
    S(PROCESS_BASIC_INFORMATION) F(ExitStatus) F(PebBaseAddress) F(AffinityMask) F(BasePriority) F(UniqueProcessId)
      F(InheritedFromUniqueProcessId) E
    S(KERNEL_USER_TIMES) F(CreateTime) F(ExitTime) F(KernelTime) F(UserTime) E
    S(VM_COUNTERS) F(PeakVirtualSize) F(VirtualSize) F(PageFaultCount) F(PeakWorkingSetSize) F(WorkingSetSize)
      F(QuotaPeakPagedPoolUsage) F(PagefileUsage) F(PeakPagefileUsage) E
    S(OBJECT_ATTRIBUTES) F(Length) F(RootDirectory) F(ObjectName) F(Attributes) F(SecurityDescriptor)
      F(SecurityQualityOfService) E
    S(IO_STATUS_BLOCK) F(Status) F(Information) E
    S(FILE_BASIC_INFORMATION) F(CreationTime) F(FileAttributes) E
    S(FILE_STANDARD_INFORMATION) F(AllocationSize) F(EndOfFile) F(NumberOfLinks) F(DeletePending) F(Directory) E
    S(FILE_NETWORK_OPEN_INFORMATION) F(CreationTime) F(AllocationSize) F(EndOfFile) F(FileAttributes) E
    S(FILE_ATTRIBUTE_TAG_INFORMATION) F(FileAttributes) F(ReparseTag) E
    S(UNICODE_STRING) F(Length) F(MaximumLength) F(Buffer) E
    S(TIME_FIELDS) F(Year) F(Month) F(Day) F(Hour) F(Minute) F(Second) F(Milliseconds) F(Weekday) E
    S(PROCESSENTRY32W) F(dwSize) F(cntUsage) F(th32ProcessID) F(th32DefaultHeapID) F(th32ModuleID) F(cntThreads)
      F(th32ParentProcessID) F(pcPriClassBase) F(dwFlags) E
    S(THREADENTRY32) F(dwSize) F(cntUsage) F(th32ThreadID) F(th32OwnerProcessID) F(tpBasePri) F(tpDeltaPri)
      F(dwFlags) E
    S(MODULEENTRY32W) F(dwSize) F(th32ModuleID) F(th32ProcessID) F(GlblcntUsage) F(ProccntUsage) F(modBaseAddr)
      F(modBaseSize) F(hModule) E
    S(PROCESS_MEMORY_COUNTERS_EX) F(cb) F(PageFaultCount) F(PeakWorkingSetSize) F(WorkingSetSize)
      F(QuotaPeakPagedPoolUsage) F(PagefileUsage) F(PeakPagefileUsage) F(PrivateUsage) E
    S(MODULEINFO) F(lpBaseOfDll) F(SizeOfImage) F(EntryPoint) E
    S(PERFORMANCE_INFORMATION) F(cb) F(CommitTotal) F(CommitLimit) F(CommitPeak) F(PhysicalTotal)
      F(PhysicalAvailable) F(SystemCache) F(KernelTotal) F(PageSize) F(HandleCount) F(ProcessCount) F(ThreadCount) E
    S(SYSTEM_INFO) F(wProcessorArchitecture) F(wReserved) F(dwPageSize) F(lpMinimumApplicationAddress)
      F(lpMaximumApplicationAddress) F(dwActiveProcessorMask) F(dwNumberOfProcessors) F(dwProcessorType)
      F(dwAllocationGranularity) F(wProcessorLevel) F(wProcessorRevision) E
    S(MEMORYSTATUSEX) F(dwLength) F(dwMemoryLoad) F(ullTotalPhys) F(ullAvailPhys) F(ullTotalPageFile)
      F(ullAvailPageFile) F(ullTotalVirtual) F(ullAvailVirtual) F(ullAvailExtendedVirtual) E
    S(MEMORYSTATUS) F(dwLength) F(dwMemoryLoad) F(dwTotalPhys) F(dwAvailPhys) F(dwTotalPageFile) F(dwAvailPageFile)
      F(dwTotalVirtual) F(dwAvailVirtual) E
    S(SYSTEMTIME) F(wYear) F(wMonth) F(wDayOfWeek) F(wDay) F(wHour) F(wMinute) F(wSecond) F(wMilliseconds) E
    S(SYSTEM_LOGICAL_PROCESSOR_INFORMATION) F(ProcessorMask) F(Relationship) F(Reserved) E
    S(GROUP_AFFINITY) F(Mask) F(Group) F(Reserved) E
    S(WIN32_FIND_DATAW) F(dwFileAttributes) F(ftCreationTime) F(ftLastAccessTime) F(ftLastWriteTime)
      F(nFileSizeHigh) F(nFileSizeLow) F(dwReserved0) F(dwReserved1) E
    S(FILETIME) F(dwLowDateTime) F(dwHighDateTime) E
    S(WIN32_FILE_ATTRIBUTE_DATA) F(dwFileAttributes) F(ftCreationTime) F(ftLastAccessTime) F(ftLastWriteTime)
      F(nFileSizeHigh) F(nFileSizeLow) E
    S(BY_HANDLE_FILE_INFORMATION) F(dwFileAttributes) F(ftCreationTime) F(ftLastAccessTime) F(ftLastWriteTime)
      F(dwVolumeSerialNumber) F(nFileSizeHigh) F(nFileSizeLow) F(nNumberOfLinks) F(nFileIndexHigh) F(nFileIndexLow)
      E
    S(FILE_BASIC_INFO) F(CreationTime) F(LastAccessTime) F(LastWriteTime) F(ChangeTime) F(FileAttributes) E
    S(FILE_STANDARD_INFO) F(AllocationSize) F(EndOfFile) F(NumberOfLinks) F(DeletePending) F(Directory) E
    S(FILE_ATTRIBUTE_TAG_INFO) F(FileAttributes) F(ReparseTag) E
    S(FILE_ID_INFO) F(VolumeSerialNumber) F(FileId) E
    S(OVERLAPPED) F(Internal) F(InternalHigh) F(Offset) F(OffsetHigh) F(hEvent) E
    S(OVERLAPPED_ENTRY) F(lpCompletionKey) F(lpOverlapped) F(Internal) F(dwNumberOfBytesTransferred) E
    S(PROCESS_INFORMATION) F(hProcess) F(hThread) F(dwProcessId) F(dwThreadId) E
    S(COORD) F(X) F(Y) E
    S(CONSOLE_SCREEN_BUFFER_INFO) F(dwSize) F(dwCursorPosition) F(wAttributes) F(srWindow) F(dwMaximumWindowSize) E
    S(CONSOLE_CURSOR_INFO) F(dwSize) F(bVisible) E
    S(NUMBERFMTW) F(NumDigits) F(LeadingZero) F(Grouping) F(lpDecimalSep) F(lpThousandSep) F(NegativeOrder) E
    S(STARTUPINFOW) F(cb) F(lpReserved) F(lpDesktop) F(lpTitle) F(dwX) F(dwY) F(dwXSize) F(dwYSize) F(dwXCountChars)
      F(dwYCountChars) F(dwFillAttribute) F(dwFlags) F(wShowWindow) F(cbReserved2) F(lpReserved2) F(hStdInput)
      F(hStdOutput) F(hStdError) E
    S(SECURITY_ATTRIBUTES) F(nLength) F(lpSecurityDescriptor) F(bInheritHandle) E
    S(IO_COUNTERS) F(ReadOperationCount) F(WriteOperationCount) F(OtherOperationCount) F(ReadTransferCount)
      F(WriteTransferCount) F(OtherTransferCount) E
    S(PROCESSOR_NUMBER) F(Group) F(Number) F(Reserved) E
    S(MEMORY_BASIC_INFORMATION) F(BaseAddress) F(AllocationBase) F(AllocationProtect) F(RegionSize) F(State)
      F(Protect) F(Type) E
    S(WIN32_MEMORY_RANGE_ENTRY) F(VirtualAddress) F(NumberOfBytes) E
    S(CRITICAL_SECTION) F(DebugInfo) F(LockCount) F(RecursionCount) F(OwningThread) F(LockSemaphore) F(SpinCount) E
    S(TP_CALLBACK_ENVIRON_V3) F(Version) F(Pool) F(CleanupGroup) F(CleanupGroupCancelCallback) E
    S(TIME_ZONE_INFORMATION) F(Bias) F(StandardName) F(StandardDate) F(StandardBias) F(DaylightName) F(DaylightDate)
      F(DaylightBias) E
    S(DYNAMIC_TIME_ZONE_INFORMATION) F(Bias) F(TimeZoneKeyName) F(DynamicDaylightTimeDisabled) E
    S(CPINFO) F(MaxCharSize) F(DefaultChar) F(LeadByte) E
    S(JOBOBJECT_BASIC_LIMIT_INFORMATION) F(PerProcessUserTimeLimit) F(PerJobUserTimeLimit) F(LimitFlags)
      F(MinimumWorkingSetSize) F(MaximumWorkingSetSize) F(ActiveProcessLimit) F(Affinity) F(PriorityClass)
      F(SchedulingClass) E
    S(JOBOBJECT_EXTENDED_LIMIT_INFORMATION) F(BasicLimitInformation) F(IoInfo) F(ProcessMemoryLimit)
      F(JobMemoryLimit) F(PeakProcessMemoryUsed) F(PeakJobMemoryUsed) E
    S(JOBOBJECT_ASSOCIATE_COMPLETION_PORT) F(CompletionKey) F(CompletionPort) E
    S(JOBOBJECT_BASIC_ACCOUNTING_INFORMATION) F(TotalUserTime) F(TotalKernelTime) F(ThisPeriodTotalUserTime)
      F(ThisPeriodTotalKernelTime) F(TotalPageFaultCount) F(TotalProcesses) F(ActiveProcesses)
      F(TotalTerminatedProcesses) E
    S(JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION) F(BasicInfo) F(IoInfo) E
    S(MSG) F(hwnd) F(message) F(wParam) F(lParam) F(time) F(pt.x) F(pt.y) E
    S(TIMECAPS) F(wPeriodMin) F(wPeriodMax) E
    S(MMTIME) F(wType) F(u.ms) F(u.smpte.fps) E
    S(MEM_EXTENDED_PARAMETER) BITS F(Pointer) E
    S(MEM_ADDRESS_REQUIREMENTS) F(LowestStartingAddress) F(HighestEndingAddress) F(Alignment) E
    S(SYSTEM_BASIC_INFORMATION) F(Reserved1) F(MaximumIncrement) F(PhysicalPageSize) F(NumberOfPhysicalPages)
      F(LowestPhysicalPage) F(HighestPhysicalPage) F(AllocationGranularity) F(LowestUserAddress)
      F(HighestUserAddress) F(ActiveProcessors) F(NumberOfProcessors) E
    S(SYSTEM_PROCESSOR_PERFORMANCE_INFORMATION) F(IdleTime) F(KernelTime) F(UserTime) F(Reserved1[0])
      F(Reserved1[1]) F(Reserved2) E
    S(SYSTEM_PROCESS_INFORMATION) F(NextEntryOffset) F(NumberOfThreads) F(Reserved[0]) F(Reserved[1])
      F(Reserved[1].HighPart) F(Reserved[2]) F(CreateTime) F(UserTime) F(KernelTime) F(ImageName) F(BasePriority)
      F(UniqueProcessId) F(InheritedFromUniqueProcessId) F(HandleCount) F(SessionId) F(PageDirectoryBase)
      F(VirtualMemoryCounters) F(VirtualMemoryCounters.VirtualSize) F(VirtualMemoryCounters.PageFaultCount)
      F(VirtualMemoryCounters.PeakWorkingSetSize) F(VirtualMemoryCounters.WorkingSetSize)
      F(VirtualMemoryCounters.QuotaPeakPagedPoolUsage) F(VirtualMemoryCounters.PagefileUsage)
      F(VirtualMemoryCounters.PeakPagefileUsage) F(PrivatePageCount) F(IoCounters) E
    S(SYSTEM_THREAD_INFORMATION) F(Reserved1[0]) F(Reserved1[1]) F(Reserved1[2]) F(Reserved2) F(StartAddress)
      F(ClientId) F(ClientId.UniqueThread) F(Priority) F(BasePriority) F(Reserved3) F(ThreadState) F(WaitReason) E
    S(CRYPT_INTEGER_BLOB) F(cbData) F(pbData) E
    S(CRYPT_BIT_BLOB) F(cbData) F(pbData) F(cUnusedBits) E
    S(CRYPT_ALGORITHM_IDENTIFIER) F(pszObjId) F(Parameters) E
    S(CERT_PUBLIC_KEY_INFO) F(Algorithm) F(PublicKey) E
    S(CERT_EXTENSION) F(pszObjId) F(fCritical) F(Value) E
    S(CERT_INFO) F(dwVersion) F(SerialNumber) F(SignatureAlgorithm) F(Issuer) F(NotBefore) F(NotAfter) F(Subject)
      F(SubjectPublicKeyInfo) F(IssuerUniqueId) F(SubjectUniqueId) F(cExtension) F(rgExtension) E
    S(CERT_CONTEXT) F(dwCertEncodingType) F(pbCertEncoded) F(cbCertEncoded) F(pCertInfo) F(hCertStore) E
    S(CTL_USAGE) F(cUsageIdentifier) F(rgpszUsageIdentifier) E
    S(CERT_USAGE_MATCH) F(dwType) F(Usage) E
    S(CRYPT_KEY_PROV_INFO) F(pwszContainerName) F(pwszProvName) F(dwProvType) F(dwFlags) F(cProvParam) F(rgProvParam)
      F(dwKeySpec) E
    S(CERT_TRUST_STATUS) F(dwErrorStatus) F(dwInfoStatus) E
    S(CERT_CHAIN_ELEMENT) F(cbSize) F(pCertContext) F(TrustStatus) F(pRevocationInfo) F(pIssuanceUsage)
      F(pApplicationUsage) F(pwszExtendedErrorInfo) E
    S(CERT_SIMPLE_CHAIN) F(cbSize) F(TrustStatus) F(cElement) F(rgpElement) F(pTrustListInfo)
      F(fHasRevocationFreshnessTime) F(dwRevocationFreshnessTime) E
    S(CERT_CHAIN_CONTEXT) F(cbSize) F(TrustStatus) F(cChain) F(rgpChain) F(cLowerQualityChainContext)
      F(rgpLowerQualityChainContext) F(fHasRevocationFreshnessTime) F(dwRevocationFreshnessTime) F(dwCreateFlags)
      F(ChainId) E
    S(CERT_CHAIN_PARA) F(cbSize) F(RequestedUsage) E
    S(CERT_CHAIN_ENGINE_CONFIG) F(cbSize) F(hRestrictedRoot) F(hRestrictedTrust) F(hRestrictedOther)
      F(cAdditionalStore) F(rghAdditionalStore) F(dwFlags) F(dwUrlRetrievalTimeout) F(MaximumCachedCertificates)
      F(CycleDetectionModulus) F(hExclusiveRoot) E
    S(CERT_CHAIN_POLICY_PARA) F(cbSize) F(dwFlags) F(pvExtraPolicyPara) E
    S(CERT_CHAIN_POLICY_STATUS) F(cbSize) F(dwError) F(lChainIndex) F(lElementIndex) F(pvExtraPolicyStatus) E
    S(HTTPSPolicyCallbackData) F(cbStruct) F(dwAuthType) F(fdwChecks) F(pwszServerName) E
    S(CERT_SIGNED_CONTENT_INFO) F(ToBeSigned) F(SignatureAlgorithm) F(Signature) E
    S(CERT_RDN_ATTR) F(pszObjId) F(dwValueType) F(Value) E
    S(CERT_NAME_VALUE) F(dwValueType) F(Value) E
    S(CERT_ALT_NAME_ENTRY) F(dwAltNameChoice) F(pwszURL) E
    S(CERT_BASIC_CONSTRAINTS2_INFO) F(fCA) F(fPathLenConstraint) F(dwPathLenConstraint) E
    S(CERT_AUTHORITY_KEY_ID2_INFO) F(KeyId) F(AuthorityCertIssuer) F(AuthorityCertSerialNumber) E
    S(CERT_ECC_SIGNATURE) F(r) F(s) E
    S(CRYPT_PRIVATE_KEY_INFO) F(Version) F(Algorithm) F(PrivateKey) F(pAttributes) E
    S(CRYPT_DECODE_PARA) F(cbSize) F(pfnAlloc) F(pfnFree) E
    S(BCRYPT_PKCS1_PADDING_INFO) F(pszAlgId) E
    S(BCRYPT_PSS_PADDING_INFO) F(pszAlgId) F(cbSalt) E
    S(BCRYPT_OAEP_PADDING_INFO) F(pszAlgId) F(pbLabel) F(cbLabel) E
    S(BCryptBuffer) F(cbBuffer) F(BufferType) F(pvBuffer) E
    S(BCryptBufferDesc) F(ulVersion) F(cBuffers) F(pBuffers) E
    S(SecHandle) F(dwLower) F(dwUpper) E
    S(SecBuffer) F(cbBuffer) F(BufferType) F(pvBuffer) E
    S(SecBufferDesc) F(ulVersion) F(cBuffers) F(pBuffers) E
    S(SecPkgInfoW) F(fCapabilities) F(wVersion) F(wRPCID) F(cbMaxToken) F(Name) F(Comment) E
    S(SecPkgContext_StreamSizes) F(cbHeader) F(cbTrailer) F(cbMaximumMessage) F(cBuffers) F(cbBlockSize) E
    S(SecPkgContext_ConnectionInfo) F(dwProtocol) F(aiCipher) F(dwCipherStrength) F(aiHash) F(dwHashStrength)
      F(aiExch) F(dwExchStrength) E
    S(SCHANNEL_CRED) F(dwVersion) F(cCreds) F(paCred) F(hRootStore) F(cMappers) F(aphMappers) F(cSupportedAlgs)
      F(palgSupportedAlgs) F(grbitEnabledProtocols) F(dwMinimumCipherStrength) F(dwMaximumCipherStrength)
      F(dwSessionLifespan) F(dwFlags) E
    S(SCH_CREDENTIALS) F(dwVersion) F(dwCredFormat) F(cCreds) F(paCred) F(hRootStore) F(cMappers) F(aphMappers)
      F(dwSessionLifespan) F(dwFlags) F(cTlsParameters) F(pTlsParameters) E
    S(TLS_PARAMETERS) F(cAlpnIds) F(rgstrAlpnIds) F(grbitDisabledProtocols) F(cDisabledCrypto) F(pDisabledCrypto)
      F(dwFlags) E
    return 0;
}
