/* Time: the C runtime's calendar functions in UTC, and Win32's FILETIME, SYSTEMTIME and counters. */
#include "check.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timeb.h>
#include <time.h>

static void calendar(void)
{
    __time64_t t = 86400LL * 365;
    struct tm *g = _gmtime64(&t), m;
    char b[64];
    CHECK("gmtime", g != NULL);
    CHECK_INT("gmtime year", g->tm_year, 71);
    CHECK_INT("gmtime wday", g->tm_wday, 5);
    CHECK_INT("gmtime yday", g->tm_yday, 0);
#ifdef _UCRT
    CHECK_STR("asctime pads the day with a blank", asctime(g), "Fri Jan  1 00:00:00 1971\n");
#else
    CHECK_STR("asctime pads the day with a zero", asctime(g), "Fri Jan 01 00:00:00 1971\n");
#endif
    t = 951782400; /* 29 February 2000 */
    g = _gmtime64(&t);
    CHECK("leap day", g->tm_mon == 1 && g->tm_mday == 29);
    CHECK_INT("leap yday", g->tm_yday, 59);
    t = 32535215999LL; /* 31 December 3000, the last day there is */
    g = _gmtime64(&t);
    CHECK("year 3000", g && g->tm_year == 1100 && g->tm_mon == 11 && g->tm_mday == 31 && g->tm_sec == 59);
    t = 1700000000;
    m = *_gmtime64(&t);
    CHECK_INT("strftime", strftime(b, sizeof b, "%Y-%m-%d %H:%M:%S %j %a %b %y %p %%", &m), 39);
    CHECK_STR("strftime text", b, "2023-11-14 22:13:20 318 Tue Nov 23 PM %");
    CHECK_INT("strftime names", strftime(b, sizeof b, "%A %B %I", &m) > 0, 1);
    CHECK_STR("strftime names text", b, "Tuesday November 10");
    CHECK_INT("strftime c", strftime(b, sizeof b, "%x %X", &m) > 0, 1);
    CHECK_STR("strftime c text", b, "11/14/23 22:13:20");
    CHECK_INT("strftime # drops zeros", strftime(b, sizeof b, "%#d %#m", &m) > 0, 1);
    CHECK_STR("strftime # text", b, "14 11");
    CHECK_INT("strftime too small", strftime(b, 4, "%Y-%m", &m), 0);
    memset(&m, 0, sizeof m);
    m.tm_year = 100; m.tm_mon = 13; m.tm_mday = 32; m.tm_hour = 25;
    t = _mkgmtime64(&m);
    CHECK("_mkgmtime normalises", t == 983754000);
    CHECK("_mkgmtime fields", m.tm_year == 101 && m.tm_mon == 2 && m.tm_mday == 5 && m.tm_hour == 1);
    t = 1700000000;
    m = *_localtime64(&t);
    CHECK("mktime undoes localtime", _mktime64(&m) == 1700000000);
    CHECK_F64("difftime", _difftime64(10, 4), 6.0);
    t = -1;
    CHECK("gmtime of a negative time", _gmtime64(&t) == NULL || _gmtime64(&t)->tm_year == 69);
}

static void now(void)
{
    __time64_t a = _time64(NULL), b;
    struct __timeb64 tb;
    clock_t c;
    FILETIME ft;
    ULARGE_INTEGER u;
    _time64(&b);
    CHECK("time", a > 1600000000 && b >= a && b - a < 5);
    _ftime64(&tb);
    CHECK("_ftime", tb.time >= a && tb.time - a < 5 && tb.millitm < 1000);
    c = clock();
    CHECK("clock", c >= 0 && c < 60000);
    GetSystemTimeAsFileTime(&ft);
    u.LowPart = ft.dwLowDateTime;
    u.HighPart = ft.dwHighDateTime;
    CHECK("FILETIME agrees with time", (long long)(u.QuadPart / 10000000 - 11644473600ULL) - a < 5);
}

static void win32(void)
{
    SYSTEMTIME st, back;
    FILETIME ft, lf;
    ULARGE_INTEGER u;
    LARGE_INTEGER f, q1, q2;
    ULONGLONG t1, t2;
    WORD date, tod;
    TIME_ZONE_INFORMATION tz;
    memset(&st, 0, sizeof st);
    st.wYear = 2000; st.wMonth = 2; st.wDay = 29; st.wHour = 12; st.wMinute = 34; st.wSecond = 56; st.wMilliseconds = 789;
    CHECK("SystemTimeToFileTime", SystemTimeToFileTime(&st, &ft));
    u.LowPart = ft.dwLowDateTime;
    u.HighPart = ft.dwHighDateTime;
    CHECK("SystemTimeToFileTime value", u.QuadPart == 125963012967890000ULL);
    CHECK("FileTimeToSystemTime", FileTimeToSystemTime(&ft, &back));
    CHECK("round trip", back.wYear == 2000 && back.wDay == 29 && back.wMilliseconds == 789);
    CHECK_INT("weekday", back.wDayOfWeek, 2);
    st.wMonth = 13;
    CHECK_ERR("bad month", SystemTimeToFileTime(&st, &ft), ERROR_INVALID_PARAMETER);
    CHECK("FileTimeToDosDateTime", FileTimeToDosDateTime(&ft, &date, &tod));
    CHECK_HEX("DOS date", date, (20 << 9) | (2 << 5) | 29);
    CHECK_HEX("DOS time", tod, (12 << 11) | (34 << 5) | 28);
    CHECK("DosDateTimeToFileTime", DosDateTimeToFileTime(date, tod, &lf));
    CHECK("FileTimeToLocalFileTime", FileTimeToLocalFileTime(&ft, &lf));
    CHECK_INT("CompareFileTime", CompareFileTime(&ft, &ft), 0);
    CHECK("GetTimeZoneInformation", GetTimeZoneInformation(&tz) != TIME_ZONE_ID_INVALID);
    CHECK("QueryPerformanceFrequency", QueryPerformanceFrequency(&f) && f.QuadPart >= 1000000);
    QueryPerformanceCounter(&q1);
    t1 = GetTickCount64();
    Sleep(30);
    QueryPerformanceCounter(&q2);
    t2 = GetTickCount64();
    CHECK("the counter advances", q2.QuadPart - q1.QuadPart >= f.QuadPart * 25 / 1000);
    CHECK("GetTickCount64 advances", t2 - t1 >= 15 && t2 - t1 < 5000);
    CHECK("GetTickCount agrees", (DWORD)GetTickCount64() - GetTickCount() + 100 < 200);
    GetSystemTime(&st);
    CHECK("GetSystemTime", st.wYear >= 2024 && st.wMonth >= 1 && st.wMonth <= 12);
}

/* KUSER_SHARED_DATA: runtimes read the clock at its fixed address, without a call. */
static void shared_page(void)
{
    volatile ULONG *p = (volatile ULONG *)(uintptr_t)0x7ffe0000;
    LONG high;
    ULONGLONG t, now_ft;
    FILETIME ft;
    do { high = (LONG)p[6]; t = p[5]; } while (high != (LONG)p[7]); /* SystemTime: Low, High1, High2 at 0x14 */
    t |= (ULONGLONG)high << 32;
    GetSystemTimeAsFileTime(&ft);
    now_ft = (ULONGLONG)ft.dwHighDateTime << 32 | ft.dwLowDateTime;
    CHECK("KUSER_SHARED_DATA SystemTime is live", now_ft - t + 10000000 < 20000000);
    CHECK("NtMajorVersion", p[0x26c / 4] >= 6);
}

int main(void)
{
    calendar();
    now();
    win32();
    shared_page();
    return check_done();
}
