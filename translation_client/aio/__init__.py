"""The client for asyncio. Needs the extra: `pip install 'translation-client[async]'`."""
