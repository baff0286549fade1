document.title = "Scripted";
