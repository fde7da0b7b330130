@ECHO off
rem The pattern of launchers that package managers write beside a program.
GOTO begin
:where_am_i
SET here=%~dp0
EXIT /b
:begin
SETLOCAL
CALL :where_am_i

IF EXIST "%here%\runtime.exe" (
  SET "_program=%here%\runtime.exe"
) ELSE (
  SET "_program=cmd"
  SET PATHEXT=%PATHEXT:;.JS;=;%
)

endLocal & goto #_undefined_# 2>NUL || title %COMSPEC% & "%_program%" /c exit 17 %*
