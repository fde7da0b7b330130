@echo other [%0] [%*] in %~nx0
@exit /b 42
