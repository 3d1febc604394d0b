"""What people in generated calls say. Written by us for this purpose; nobody said any of it."""

from __future__ import annotations

#: What a caller says of the reason for the call, by intent.
REASONS: dict[str, tuple[str, ...]] = {
    "billing_question": (
        "I have a question about my bill from {month}, it is higher than I expected.",
        "There is a line of {amount} pounds on my invoice that I cannot explain.",
        "Could you tell me what the service charge on my statement is for?",
    ),
    "cancel_service": (
        "I want to cancel my contract at the end of {month}.",
        "Please close my account, I have found a better offer elsewhere.",
        "I have had enough and I would like to leave, how do I cancel?",
    ),
    "make_payment": (
        "I would like to pay my bill of {amount} pounds today.",
        "Can I make a payment over the phone for the account in my name?",
    ),
    "payment_difficulty": (
        "I lost my job in {month} and I cannot pay the whole amount at once.",
        "Is it possible to pay {amount} pounds a month until this is settled?",
    ),
    "refund_request": (
        "I was charged twice in {month} and I want a refund of {amount} pounds.",
        "You promised me a refund three weeks ago and nothing has arrived.",
    ),
    "order_status": (
        "I ordered a router in {month} and it still has not been delivered.",
        "Could you check where my parcel is, the tracking has not moved for days?",
    ),
    "place_order": (
        "I would like to order a second handset for my daughter.",
        "Can I add the television package to what I have?",
    ),
    "return_exchange": (
        "The device arrived damaged and I need to send it back for another one.",
        "How do I return the router, I no longer need it?",
    ),
    "technical_problem": (
        "My internet connection drops every evening around eight.",
        "The light on the router is red and nothing works since this morning.",
        "The app shows an error whenever I try to sign in on my phone.",
    ),
    "account_access": (
        "I am locked out of my account and the password reset does not arrive.",
        "I cannot log in any more since I changed my telephone.",
    ),
    "update_details": (
        "I moved house in {month} and need to change my address.",
        "Please update my e-mail, the old one does not exist any longer.",
    ),
    "report_fraud": (
        "There is a payment of {amount} pounds on my account that I never made.",
        "Somebody called me and pretended to be from your fraud department.",
    ),
    "lost_or_stolen": (
        "My card was stolen yesterday and I need it blocked right away.",
        "I lost my phone on the train, can you block the number?",
    ),
    "account_information": (
        "Could you tell me when my contract ends?",
        "I would like to know how much data I have left this month.",
    ),
    "transfer_money": (
        "I want to move {amount} pounds to my savings account.",
        "The transfer that I made on Monday has not arrived.",
    ),
    "appointment": (
        "I would like to book an engineer for next week in the morning.",
        "I have to move my appointment, can the engineer come on Friday?",
    ),
    "product_question": (
        "Does the new tariff include calls to other countries?",
        "What is the difference between the two broadband packages?",
    ),
    "change_plan": (
        "I want to change to the smaller plan, I do not use that much.",
        "Can I upgrade to the faster line, and what does it cost?",
    ),
    "complaint": (
        "I want to make a formal complaint about how I was treated in {month}.",
        "This is the third time that I call about the same thing and nobody calls back.",
    ),
    "insurance_claim": (
        "I want to make a claim, water came through the ceiling in {month}.",
        "What do you need from me for the claim about the broken window?",
    ),
    "outage_report": (
        "The whole street has no service since last night, is there an outage?",
        "Nothing works here, neither the telephone nor the internet.",
    ),
    "praise": (
        "I only wanted to say that the engineer who came in {month} was wonderful.",
        "Your colleague helped me so kindly last week, please pass on my thanks.",
    ),
    "unknown": (
        "I am calling because of the letter that you sent me.",
        "I was asked to ring this number, I do not know why.",
    ),
}

GREETINGS = (
    "Thank you for calling, this is {agent} speaking, how may I help you today?",
    "Good morning, you are through to {agent}, what can I do for you?",
    "Welcome, my name is {agent}, this call is recorded for training, how can I help?",
)
CHECKS = (
    "May I take your full name and the first line of your address, please?",
    "Before I look into this, could you confirm your date of birth for me?",
    "Could I have your account number, please, or the postcode on the account?",
)
ANSWERS = (
    "Yes, of course, one moment, I have it somewhere here.",
    "It is on the letter, let me find it, here it is.",
    "My name is on the account, and the postcode is the old one.",
    "Sure, that should be what you have on file.",
)
AGENT_WORK = (
    "Let me have a look at that for you, it will take a minute.",
    "I can see the account now, and I can see what has happened here.",
    "I am going to put you on hold for a moment while I check with my colleague.",
    "Thank you for waiting, I have spoken to the other department.",
    "What I can do is raise this with the back office and call you back.",
    "The system shows the change from {month}, so let me go through it with you.",
    "If you look at the second page you will find the amount of {amount} pounds.",
    "I would need to open a ticket, and you will receive a confirmation by e-mail.",
    "There is a form for that, and I can fill it in with you right now.",
    "I understand, let me make a note of that on your account.",
)
AGENT_WARM = (
    "I am sorry to hear that, I would be upset as well, let us sort it out together.",
    "Thank you for your patience, I really appreciate it.",
    "You have done everything right, the mistake is on our side.",
    "I will take care of this personally and make sure it is solved.",
)
AGENT_COOL = (
    "That is what the contract says, there is nothing that I can do.",
    "You would have to write to us, I cannot change it from here.",
    "As I said before, that is the process.",
)
CUSTOMER_FLAT = (
    "All right, and how long is that going to take?",
    "I see, so what happens after that?",
    "Yes, I have the letter here in front of me.",
    "I tried that already, it did not change anything.",
    "Could you send me that in writing, please?",
    "Let me write that down, one moment.",
    "My wife usually takes care of that, but she is not at home.",
    "It says {amount} pounds on my side.",
)
CUSTOMER_BAD = (
    "This is really frustrating, I have been waiting for weeks.",
    "That is unacceptable, nobody ever calls me back.",
    "I am very disappointed, I have been a customer for ten years.",
    "If this is not solved today I will go to the ombudsman.",
    "Honestly, this is the worst service that I have ever had.",
    "I am going to cancel if that happens one more time.",
)
CUSTOMER_GOOD = (
    "Oh, that is great, thank you so much.",
    "Perfect, that is exactly what I needed.",
    "You have been very helpful, I appreciate it.",
    "Wonderful, that was easier than I thought.",
)
CLOSINGS = (
    "Is there anything else that I can help you with today?",
    "Thank you for calling, have a lovely day.",
    "You will receive a confirmation within two days, goodbye.",
)
LAST_WORDS = {
    "good": ("No, that is all, thank you, goodbye.", "That was very kind, thank you, bye."),
    "flat": ("No, that is everything, goodbye.", "All right then, bye."),
    "bad": ("I will believe it when I see it, goodbye.", "Well, that was a waste of time, bye."),
}
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
AMOUNTS = ("twelve", "eighteen", "twenty four", "thirty nine", "fifty five", "eighty", "one hundred and ten")
FIRST_NAMES = (
    "Ada", "Ben", "Carla", "Deniz", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kofi", "Lena", "Maya", "Nils",
    "Olga", "Pablo", "Qiu", "Rosa", "Sven", "Tara", "Umar", "Vera", "Wim", "Xenia", "Yusuf", "Zora", "Anouk", "Bruno",
    "Chen", "Dario", "Esme", "Flora", "Gero", "Hana", "Ivo", "Jana", "Kaya", "Levi", "Mina", "Noor", "Oskar", "Pia",
)  # fmt: skip
LAST_NAMES = (
    "Abara", "Brandt", "Costa", "Duarte", "Ekman", "Ferro", "Gallo", "Hoang", "Ito", "Jansen", "Keller", "Lund", "Mori",
    "Novak", "Okoye", "Pinto", "Rossi", "Silva", "Tanaka", "Urban", "Varga", "Weiss", "Yilmaz", "Zeller",
)  # fmt: skip
