@rem The pattern of scripts that set up a compiler's environment: parsing switches, changing PATH, calling others.
@echo off
set __args=%*
set __arch=x86
set __quiet=
:parse
if "%~1"=="" goto parsed
if /i "%~1"=="amd64" (
    set "__arch=x64"
    shift & goto parse
)
if /i "%~1"=="-quiet" set __quiet=1& shift & goto parse
for /f "tokens=1,2 delims==" %%a in ("%~1") do set __%%a=%%b
shift
goto parse
:parsed
set "__tool_dir=%~dp0tools\%__arch%"
pushd "%~dp0" && (
    for %%d in ("%CD%") do set "__root=%%~nxd"
    popd
)
if defined __root echo root found
set "PATH=%__tool_dir%;%PATH%"
set "INCLUDE=%~dp0include;%INCLUDE%"
call :add LIB one
call :add LIB two
for /f "tokens=1* delims=;" %%a in ("%PATH%") do if /i "%%a"=="%__tool_dir%" echo path set
echo %LIB%
echo arch %__arch%
set __ | find /c "="
exit /b 0

:add
setlocal
call set "value=%%%1%%"
if not defined value (set "value=%2") else set "value=%value%;%2"
endlocal & set "%1=%value%"
goto :eof
