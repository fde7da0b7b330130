@echo off
rem Quotation marks, carets, blocks, operators and redirections.
echo plain   text with  blanks
echo "quoted & | < > ^ text" ^& caret ^^ ^> ^|
echo one& echo two && echo three || echo never
(echo in block
 echo second line) & echo after
echo long ^
line
if 1==1 (echo yes) else (echo no)
if "a b"=="a c" (
    echo no
) else if /i "X"=="x" (
    echo else if
) else (
    echo no
)
if not defined UNDEFINED_NAME echo undefined
if 5 lss 10 if 10 gtr 9 echo numbers
if "abc" lss "abd" echo letters
>out.txt echo to file
>>out.txt (echo more& echo and more)
type out.txt
(echo error text) 1>&2 2>nul
echo both>both.txt 2>&1
for /f "delims=" %%l in (both.txt) do echo [%%l]
2>nul dir /b no-such-file || call echo failed %%errorlevel%%
set v=value
echo %v% %V% [%undefined%] 100%% %v:~1,3% %v:al=AL% %v:*l=% %v:~-2%
set "spaced=a b"
echo [%spaced: =_%]
set a=1& echo a=%a%.
echo a=%a%.
:: a comment with ( and & and %
echo @sign
echo.
echo(parenthesis
echo:colon
cmd /c exit 3
echo level %errorlevel%
if errorlevel 3 if not errorlevel 4 echo exactly three
ver | find "Version" >nul && echo piped
del out.txt both.txt
if not exist out.txt echo deleted
