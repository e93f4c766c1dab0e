def main():
    raise SystemExit('cli under construction')
