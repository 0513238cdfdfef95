def handler(event, _context):
    return len(event)
