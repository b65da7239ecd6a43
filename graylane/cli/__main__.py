"""`python -m graylane.cli`, for starting ourselves in the background without needing the script on PATH. Shell."""

from graylane.cli import main

main()
