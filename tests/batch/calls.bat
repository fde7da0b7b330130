@echo off
rem Subroutines, other batch files, arguments, environments, exit codes.
setlocal
echo [%0] [%1] [%~2] [%3] [%*]
call :twice 21
echo result %result%
call :args "first one" second,third;fourth=fifth
call other.cmd x y
echo other gave %errorlevel%
call :recurse 3
shift
echo shifted [%1] [%2]
shift /1
echo shifted again [%1] [%2]
set outer=1
call :scope
echo outer %outer% inner [%inner%]
call echo called %%outer%%
for /l %%i in (1,1,2) do call :loop %%i
goto :end
echo never

:twice
set /a result=%1*2
exit /b

:args
echo args [%1] [%~1] [%2] [%3] [%4] [%5]
goto :eof

:recurse
if %1==0 exit /b 0
echo depth %1
set /a less=%1-1
call :recurse %less%
exit /b

:scope
setlocal
set outer=2
set inner=3
endlocal & set outer=%outer%
exit /b

:loop
echo loop %1
exit /b 0

:end
call :unknown 2>nul || echo no such label
other.cmd chained
echo never, as other was not called
