# escape=`
FROM mcr.microsoft.com/windows/servercore:ltsc2022
SHELL ["powershell", "-Command"]
RUN Invoke-WebRequest -Uri https://example.org/python.exe -OutFile C:\python.exe ; `
    Start-Process C:\python.exe -Wait ; `
    pip install -r C:\app\requirements.txt
COPY . C:\app
CMD ["python", "C:\\app\\main.py"]
