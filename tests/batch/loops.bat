@echo off
rem for in all its forms, delayed expansion, arithmetic.
setlocal enabledelayedexpansion
set count=0
for %%a in (x "y z" w) do (
    set /a count+=1
    echo !count! %%a %%~a
)
set list=
for /l %%n in (1,2,9) do set list=!list! %%n
echo list:!list!
for /f "tokens=1-3,* delims=:," %%a in ("k:v,w:rest,of it") do echo [%%a][%%b][%%c][%%d]
(echo first line
echo ;comment
echo   second line  ) > lines.txt
for /f "usebackq tokens=2" %%a in ("lines.txt") do echo field %%a
for /f "skip=1 delims=" %%a in (lines.txt) do echo rest [%%a]
for /f %%a in ('type lines.txt ^| find /c "line"') do echo lines %%a
md tree\one tree\two\deep 2>nul
echo.>tree\a.txt
echo.>tree\two\deep\b.txt
for /r tree %%f in (*.txt) do echo %%~nxf
for /d %%d in (tree\*) do echo folder %%~nd
for %%f in (tree\*.txt) do echo %%f %%~xf %%~zf
rd /s /q tree
set name=lines
echo !%name%! [!name:~0,2!] [!name:in=IN!]
set "mark=wow"
echo !mark! ^^! done
if "!count!"=="3" echo three
set /a "x=(1+2)*3, y=x<<1, z=-7/2, w=7%%4, b=6|9"
echo %x% !y! !z! !w! !b!
set /a n=0x1F & echo  n !n!
for %%i in (a b c) do (
    if %%i==b goto out
    echo before %%i
)
:out
echo left
del lines.txt
