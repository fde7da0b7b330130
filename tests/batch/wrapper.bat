@rem The pattern of build wrappers: a home folder, a runtime to find, an exit code to hand on.
@if "%DEBUG%"=="" @echo off
if "%OS%"=="Windows_NT" setlocal
set DIRNAME=%~dp0
if "%DIRNAME%"=="" set DIRNAME=.
set APP_BASE_NAME=%~n0
for %%i in ("%DIRNAME%") do set APP_HOME=%%~fi
set DEFAULT_OPTS="-Xmx64m" "-Xms64m"
if defined NO_SUCH_HOME goto findFromHome
set RUNTIME=cmd.exe
%RUNTIME% /c exit 0 >NUL 2>&1
if %ERRORLEVEL% equ 0 goto execute
echo ERROR: no runtime 1>&2
goto fail

:findFromHome
set RUNTIME=%NO_SUCH_HOME:"=%/bin/runtime.exe
if exist "%RUNTIME%" goto execute
goto fail

:execute
set CLASSPATH=%APP_HOME%wrapper.jar
echo %APP_BASE_NAME% %DEFAULT_OPTS%
echo %~1 / %*
"%RUNTIME%" /c "if not "%CLASSPATH%"=="" exit 5"

:end
if %ERRORLEVEL% equ 0 goto mainEnd

:fail
set EXIT_CODE=%ERRORLEVEL%
if %EXIT_CODE% equ 0 set EXIT_CODE=1
if not ""=="%WRAPPER_EXIT_CONSOLE%" exit %EXIT_CODE%
exit /b %EXIT_CODE%

:mainEnd
if "%OS%"=="Windows_NT" endlocal
